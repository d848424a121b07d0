//! The page of a form that was opened under another client: what the form would do, and for which client to send it.

use actix_web::{FromRequest as _, HttpMessage as _, HttpRequest};
use askama::Template;

use super::{
    object_id::{ObjectId, find_path_object},
    store,
};
use crate::{
    accounts::{ClientMembership, FormOfOtherClient, MaybeSignedIn, SWITCH_FIELD},
    api_keys::{GracePeriod, KeyLifetime},
    db::Db,
    error::AppError,
    ids::{ClientId, PublicKey},
    web::{
        app_data::app_data,
        form_purposes::FormPurposes,
        format::capitalized,
        page::{NavSection, PageLayout},
    },
};

/// The fields that users write themselves, with their labels and what follows their values. The other fields hold ids
/// and codes of choices.
const WRITTEN_FIELDS: [(&str, &str, &str); 6] = [
    ("name", "Name", ""),
    ("company", "Company", ""),
    ("email", EMAIL, ""),
    ("shopperId", "Shopper ID", ""),
    ("requestsPerMinute", "Rate limit", " per minute"),
    ("allowedNetworks", "Allowed networks", ""),
];
const EMAIL: &str = "Email";
/// The verbs of purposes that destroy something at once. Their buttons are red.
const DESTRUCTIVE_VERBS: [&str; 4] = ["delete", "erase", "leave", "remove"];

#[derive(Template)]
#[template(path = "clients/switch/form.html")]
pub(super) struct RefusedFormPage {
    layout: PageLayout,
    client: ClientMembership,
    active_name: String,
    /// The Client ID of the active client. `None` if the form can be sent only for the other one.
    active_id: Option<String>,
    /// The address that the form was sent to.
    action: String,
    /// What the form does, in a word: `delete`.
    verb: &'static str,
    facts: Vec<FormFact>,
    /// What happens to keys or links that are in use, as a sentence.
    consequence: Option<String>,
    /// The fields to send again, without the client. `None` for an upload: its file is not kept.
    fields: Option<Vec<(String, String)>>,
    switch_field: &'static str,
}

/// What the form does, what it is about, or what the user wrote.
struct FormFact {
    label: &'static str,
    value: FactValue,
}

enum FactValue {
    Text(String),
    /// Keys with their names.
    Keys(Vec<(String, PublicKey)>),
}

impl FormFact {
    fn new(label: &'static str, text: String) -> Self {
        Self { label, value: FactValue::Text(text) }
    }
}

impl RefusedFormPage {
    /// Returns `None` if no form was refused because of its client.
    pub(super) async fn find(request: &HttpRequest) -> Result<Option<Self>, AppError> {
        let form = request.extensions_mut().remove::<FormOfOtherClient>();
        let Some(FormOfOtherClient { client, active_name, mut fields }) = form else { return Ok(None) };
        let visitor = MaybeSignedIn::extract(request).await?;
        let active = visitor.signed_in.as_ref().map(|it| it.client().to_string());
        let may_see_names = visitor.user.as_ref().is_some_and(|user| !user.lacks_second_factor(&client));
        if let Some(fields) = &mut fields {
            fields.retain(|(name, _)| name != "clientId");
        }
        let written = fields.as_deref().unwrap_or_default();
        let purpose = app_data::<FormPurposes>(request)?.find(request.path()).unwrap_or("send");
        let verb = purpose.split(' ').next().unwrap_or(purpose);
        let subject = find_subject(request, written);
        let can_be_sent_here = subject.is_none() && !written.is_empty();
        let consequence = subject.as_ref().and_then(|subject| subject.consequence(verb, written));
        let names = match subject {
            Some(subject) if may_see_names => {
                Some(subject.load_names(request, client.client_id.clone()).await?)
            }
            _ => None,
        };
        Ok(Some(Self {
            layout: visitor.layout("You switched to another client", NavSection::of_path(request.path())),
            active_id: active.filter(|_| can_be_sent_here),
            action: request.path().to_owned(),
            verb,
            consequence,
            facts: collect_facts(purpose, verb, names, written),
            client,
            active_name,
            fields,
            switch_field: SWITCH_FIELD,
        }))
    }

    fn is_destructive(&self) -> bool {
        DESTRUCTIVE_VERBS.contains(&self.verb)
    }
}

fn collect_facts(
    purpose: &str,
    verb: &str,
    names: Option<FormFact>,
    fields: &[(String, String)],
) -> Vec<FormFact> {
    let action = match &names {
        Some(FormFact { label, value: FactValue::Keys(keys) }) if find_field(fields, "keys").is_some() => {
            format!("{verb} {} {label}", keys.len())
        }
        _ => purpose.to_owned(),
    };
    let written = WRITTEN_FIELDS.iter().filter_map(|(name, label, end)| {
        let value = find_field(fields, name).filter(|value| !value.is_empty())?;
        Some(FormFact::new(label, format!("{value}{end}")))
    });
    let expiry = describe_expiry(fields).map(|expiry| FormFact::new("Expires", expiry));
    let action = FormFact::new("Action", capitalized(&action));
    [action].into_iter().chain(names).chain(written).chain(expiry).collect()
}

fn describe_expiry(fields: &[(String, String)]) -> Option<String> {
    let day = find_field(fields, "expiresOn").unwrap_or_default();
    Some(match KeyLifetime::from_form(find_field(fields, "expires")?, day).ok()? {
        KeyLifetime::Days(days) | KeyLifetime::AtMost(days) => format!("In {days} days"),
        KeyLifetime::Through(day) => format!("After {}", day.format("%-d %b %Y")),
        KeyLifetime::Never => "Never".to_owned(),
    })
}

fn find_field<'a>(fields: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// The keys, invitation, member or file that a form is about.
enum Subject {
    Keys(Vec<PublicKey>),
    Other(ObjectId),
}

/// Reads it from the address of the form or from the field `keys`. Returns `None` if the form is about nothing that exists
/// already, so any client can receive it.
fn find_subject(request: &HttpRequest, fields: &[(String, String)]) -> Option<Subject> {
    match find_path_object(request) {
        Some(ObjectId::Key(key)) => Some(Subject::Keys(vec![key])),
        Some(object) => Some(Subject::Other(object)),
        None => {
            let keys = find_field(fields, "keys")?.split_whitespace();
            Some(Subject::Keys(keys.filter_map(|key| key.parse().ok()).collect()))
        }
    }
}

impl Subject {
    fn label(&self) -> &'static str {
        match self {
            Self::Keys(keys) if keys.len() == 1 => "API key",
            Self::Keys(_) => "API keys",
            Self::Other(ObjectId::Import(_)) => "File",
            Self::Other(ObjectId::Invitation(_)) => EMAIL,
            Self::Other(_) => "Member",
        }
    }

    /// Loads the names. What does not belong to the client is left out.
    async fn load_names(self, request: &HttpRequest, client: ClientId) -> Result<FormFact, AppError> {
        let db = app_data::<Db>(request)?;
        let label = self.label();
        let value = db
            .run(move |connection| match self {
                Self::Keys(keys) => store::load_key_names(connection, &client, &keys).map(FactValue::Keys),
                Self::Other(object) => store::find_name(connection, &client, &object)
                    .map(|name| FactValue::Text(name.unwrap_or_default())),
            })
            .await?;
        Ok(FormFact { label, value })
    }

    fn consequence(&self, verb: &str, fields: &[(String, String)]) -> Option<String> {
        match (verb, self) {
            ("delete", Self::Keys(keys)) if keys.len() == 1 => {
                Some("The key stops working at once. This cannot be undone.".to_owned())
            }
            ("delete", Self::Keys(_)) => {
                Some("These keys stop working at once. This cannot be undone.".to_owned())
            }
            ("withdraw", _) => Some("The invitation link stops working at once.".to_owned()),
            ("replace", _) => match find_field(fields, "graceSeconds").unwrap_or_default().parse() {
                Ok(GracePeriod::None) | Err(_) => Some("The old key stops working at once.".to_owned()),
                Ok(grace) => Some(format!("The old key stops working in {grace}.")),
            },
            _ => None,
        }
    }
}
