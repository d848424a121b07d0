//! The page of a form that was opened under another client: what it is about, and for which client to send it.

use actix_web::{FromRequest as _, HttpMessage as _, HttpRequest};
use askama::Template;

use super::{
    object_id::find_path_object,
    page_subject::{FactValue, PageFact, PageSubject},
};
use crate::{
    accounts::{ClientMembership, FormOfOtherClient, MaybeSignedIn, Role, SWITCH_FIELD},
    api_keys::{GracePeriod, KeyLifetime},
    error::AppError,
    web::{
        app_data::app_data,
        form_purposes::FormPurposes,
        page::{NavSection, PageLayout},
    },
};

/// The fields that users write themselves, with their labels and what follows their values. The other fields hold ids
/// and codes of choices.
const WRITTEN_FIELDS: [(&str, &str, &str); 6] = [
    ("name", "Key name", ""),
    ("company", "Company", ""),
    ("email", "Email", ""),
    ("shopperId", "Shopper ID", ""),
    ("requestsPerMinute", "Rate limit", " per minute"),
    ("allowedNetworks", "Allowed networks", ""),
];
/// The verbs that purposes begin with, what did not happen, and what their buttons say.
const VERBS: [(&str, &str, &str); 13] = [
    ("change", "The role was not changed.", "change role"),
    ("check", "The file was not checked.", "check file"),
    ("delete", "The key was not deleted.", "delete key"),
    ("discard", "The file was not discarded.", "discard"),
    ("erase", "No shopper was erased.", "erase"),
    ("generate", "No key was generated.", "generate"),
    ("import", "The file was not imported.", "import"),
    ("invite", "No invitation was sent.", "invite"),
    ("remove", "The member was not removed.", "remove member"),
    ("replace", "The key was not replaced.", "replace key"),
    ("resend", "The invitation was not sent again.", "resend invitation"),
    ("save", "Your changes were not saved.", "save changes"),
    ("withdraw", "The invitation was not withdrawn.", "withdraw invitation"),
];
/// The verbs of purposes that end something at once. Their buttons are red.
const DESTRUCTIVE_VERBS: [&str; 5] = ["delete", "erase", "leave", "remove", "withdraw"];

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
    /// What did not happen, as a sentence.
    refusal: &'static str,
    /// What the form is about, and its client.
    facts: Vec<PageFact>,
    /// What the user wrote or chose.
    written: Vec<PageFact>,
    /// What stops working once the form is sent: sentences, each on its own line.
    consequence: Option<String>,
    /// What the button that sends the form does: `delete 2 keys`.
    button: String,
    is_destructive: bool,
    /// The label of the link that leaves the page.
    way_out: &'static str,
    /// The fields to send again, without the client. `None` for an upload: its file is not kept.
    fields: Option<Vec<(String, String)>>,
    switch_field: &'static str,
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
        let purpose = app_data::<FormPurposes>(request)?.find(request.path()).unwrap_or_default();
        let verb = purpose.split(' ').next().unwrap_or_default();
        let (_, refusal, button) = VERBS.into_iter().find(|(name, ..)| *name == verb).unwrap_or((
            verb,
            "Nothing was changed.",
            verb,
        ));
        let subject = find_subject(request, written);
        let can_be_sent_here = subject.is_none() && !written.is_empty() && !purpose.ends_with("the client");
        let heading = match &subject {
            Some(subject) => subject.wording().heading,
            None if can_be_sent_here && verb == "generate" => "Which client is this key for?",
            None if can_be_sent_here => "Which client is this for?",
            None => "This form belongs to another client",
        };
        let key_count = subject.as_ref().map_or(0, PageSubject::key_count);
        let name = match (subject, &visitor.user) {
            (Some(subject), Some(user)) => subject.load_name(request, user, &client).await?,
            _ => None,
        };
        Ok(Some(Self {
            layout: visitor.layout(heading, NavSection::of_path(request.path())),
            active_id: active.filter(|_| can_be_sent_here),
            action: request.path().to_owned(),
            refusal: match fields {
                Some(_) if key_count > 1 => "The keys were not deleted.",
                Some(_) => refusal,
                None => "Your file was not kept.",
            },
            facts: name.into_iter().chain([PageFact::owner(&client)]).collect(),
            written: list_written(written).collect(),
            consequence: describe_consequence(verb, key_count, written),
            button: if key_count > 1 { format!("{verb} {key_count} keys") } else { button.to_owned() },
            way_out: if verb == "withdraw" { "Keep invitation" } else { "Cancel" },
            is_destructive: DESTRUCTIVE_VERBS.contains(&verb),
            client,
            active_name,
            fields,
            switch_field: SWITCH_FIELD,
        }))
    }
}

/// The object in the address, or the keys in the field `keys`. Returns `None` for a form that creates something, which any
/// client can receive, and for one that changes the client itself.
fn find_subject(request: &HttpRequest, fields: &[(String, String)]) -> Option<PageSubject> {
    find_path_object(request).map(PageSubject::Object).or_else(|| {
        let keys = find_field(fields, "keys")?.split_whitespace();
        Some(PageSubject::Keys(keys.filter_map(|key| key.parse().ok()).collect()))
    })
}

fn list_written(fields: &[(String, String)]) -> impl Iterator<Item = PageFact> {
    let written = WRITTEN_FIELDS.iter().filter_map(|(name, label, end)| {
        let value = find_field(fields, name).filter(|value| !value.is_empty())?;
        Some(PageFact::new(label, format!("{value}{end}")))
    });
    let role = find_field(fields, "role").and_then(|role| role.parse::<Role>().ok());
    let role = role.map(|role| PageFact::new("Role", role.label().to_owned()));
    let expiry = describe_expiry(fields).map(|expiry| PageFact::new("Expires", expiry));
    written.chain(role).chain(expiry)
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

/// What stops working once the form is sent: sentences, each on its own line.
fn describe_consequence(verb: &str, key_count: usize, fields: &[(String, String)]) -> Option<String> {
    let text = match verb {
        "delete" if key_count == 1 => {
            "Once deleted, the key stops working immediately.\nThis cannot be undone."
        }
        "delete" => "Once deleted, the keys stop working immediately.\nThis cannot be undone.",
        "leave" => "You will lose access immediately.\nTo return, you need an invitation.",
        "remove" => "This member will lose access immediately.\nTheir account stays.",
        "replace" => match find_field(fields, "graceSeconds").unwrap_or_default().parse() {
            Ok(GracePeriod::None) | Err(_) => {
                "You will get a new key.\nThe old key will stop working immediately."
            }
            Ok(grace) => {
                return Some(format!("You will get a new key.\nThe old key keeps working for {grace}."));
            }
        },
        "withdraw" => "Once withdrawn, the link stops working.\nYou can invite this person again.",
        _ => return None,
    };
    Some(text.to_owned())
}
