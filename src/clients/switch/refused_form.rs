//! The page of a form that was opened under another client: what the form would do, and for which client to send it.

use actix_web::{FromRequest as _, HttpMessage as _, HttpRequest};
use askama::Template;

use super::{
    object_id::{ObjectId, find_path_object},
    store,
};
use crate::{
    accounts::{ClientMembership, FormOfOtherClient, MaybeSignedIn, SWITCH_FIELD},
    api_keys::GracePeriod,
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
/// The labels of what forms about keys and invitations name.
const KEY: &str = "API key";
const KEYS: &str = "API keys";
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
    /// What happens to keys and links that are in use.
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
        if let Some(fields) = &mut fields {
            fields.retain(|(name, _)| name != "clientId");
        }
        let written = fields.as_deref().unwrap_or_default();
        let purpose = app_data::<FormPurposes>(request)?.find(request.path()).unwrap_or("send");
        let verb = purpose.split(' ').next().unwrap_or(purpose);
        let subject = load_subject(request, client.client_id.clone(), written).await?;
        let can_be_sent_here = subject.is_none() && fields.is_some();
        Ok(Some(Self {
            layout: visitor.layout("You switched to another client", NavSection::of_path(request.path())),
            active_id: active.filter(|_| can_be_sent_here),
            action: request.path().to_owned(),
            verb,
            consequence: find_consequence(verb, subject.as_ref(), written),
            facts: collect_facts(purpose, verb, subject, written),
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
    subject: Option<FormFact>,
    fields: &[(String, String)],
) -> Vec<FormFact> {
    let action = match &subject {
        Some(FormFact { label, value: FactValue::Keys(keys) }) if find_field(fields, "keys").is_some() => {
            format!("{verb} {} {label}", keys.len())
        }
        _ => purpose.to_owned(),
    };
    let written = WRITTEN_FIELDS.iter().filter_map(|(name, label, end)| {
        let value = find_field(fields, name).filter(|value| !value.is_empty())?;
        Some(FormFact::new(label, format!("{value}{end}")))
    });
    [FormFact::new("Action", capitalized(&action))].into_iter().chain(subject).chain(written).collect()
}

fn find_consequence(verb: &str, subject: Option<&FormFact>, fields: &[(String, String)]) -> Option<String> {
    match (verb, subject?.label) {
        ("delete", KEY) => Some("A deleted key stops working at once.".to_owned()),
        ("delete", KEYS) => Some("Deleted keys stop working at once.".to_owned()),
        ("withdraw", EMAIL) => Some("The link of the invitation stops working at once.".to_owned()),
        ("replace", KEY) => match find_field(fields, "graceSeconds").unwrap_or_default().parse() {
            Ok(GracePeriod::None) | Err(_) => Some("The old key stops working at once.".to_owned()),
            Ok(grace) => Some(format!("The old key stops working in {grace}.")),
        },
        _ => None,
    }
}

fn find_field<'a>(fields: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// What of the client the form names, in its address or in the field `keys`. Returns `None` if it names nothing, so that
/// the form can be sent for any client.
async fn load_subject(
    request: &HttpRequest,
    client: ClientId,
    fields: &[(String, String)],
) -> Result<Option<FormFact>, AppError> {
    let db = app_data::<Db>(request)?;
    let keys: Vec<PublicKey> = match (find_path_object(request), find_field(fields, "keys")) {
        (Some(ObjectId::Key(key)), _) => vec![key],
        (Some(object), _) => {
            let label = match object {
                ObjectId::Import(_) => "File",
                ObjectId::Invitation(_) => EMAIL,
                _ => "Member",
            };
            let name = db.run(move |connection| store::find_name(connection, &client, &object)).await?;
            return Ok(Some(FormFact::new(label, name.unwrap_or_default())));
        }
        (None, Some(keys)) => keys.split_whitespace().filter_map(|key| key.parse().ok()).collect(),
        (None, None) => return Ok(None),
    };
    let label = if keys.len() == 1 { KEY } else { KEYS };
    let keys = db.run(move |connection| store::load_key_names(connection, &client, &keys)).await?;
    Ok(Some(FormFact { label, value: FactValue::Keys(keys) }))
}
