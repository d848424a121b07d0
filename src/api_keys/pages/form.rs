//! The form that creates or changes a key.

use crate::{
    api_keys::{
        error::KeyChangeError,
        key::ApiKey,
        lifetime::KeyLifetime,
        new_key::{KeyName, KeySpec},
        rights::{KeyRights, RequestsPerMinute, Scope},
    },
    web::{
        body::{FormFields, form::FormState},
        format::time::now,
    },
};

/// The fields as they were typed, with their errors.
#[derive(Clone, Debug)]
pub(crate) struct KeyForm {
    pub(crate) state: FormState,
    scopes: Vec<Scope>,
}

impl KeyForm {
    /// Reads a form that creates a key. Missing fields get the values of the empty form, so a name alone is enough.
    pub(crate) fn from_fields<const LIMIT: usize>(fields: &FormFields<LIMIT>) -> Self {
        let or = |name: &str, default: &str| fields.get(name).unwrap_or(default).to_owned();
        let state = FormState::default()
            .keep("name", fields.text("name"))
            .keep("expires", &or("expires", &KeyLifetime::DAYS_DEFAULT.to_string()))
            .keep("expiresOn", fields.text("expiresOn"))
            .keep("requestsPerMinute", &or("requestsPerMinute", &RequestsPerMinute::DEFAULT.to_string()))
            .keep("allowedNetworks", fields.text("allowedNetworks"));
        Self { state, scopes: selected_scopes(fields) }
    }

    /// Reads a form that changes a key. Missing fields keep the values of the key.
    pub(crate) fn from_changes<const LIMIT: usize>(fields: &FormFields<LIMIT>, key: &ApiKey) -> Self {
        let before = Self::from_key(key);
        let sent = |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value);
        let or_before = |name: &str| sent(name).unwrap_or(before.state.value(name)).to_owned();
        let mut state = FormState::default()
            .keep("requestsPerMinute", &or_before("requestsPerMinute"))
            .keep("allowedNetworks", &or_before("allowedNetworks"));
        if state.value("requestsPerMinute").trim().is_empty() {
            state = state.refuse("requestsPerMinute", "Enter a number. 0 means no limit.");
        }
        let has_boxes = sent("chooseScopes").is_some();
        Self { state, scopes: if has_boxes { selected_scopes(fields) } else { before.scopes } }
    }

    /// The form with the present rights of the key.
    pub(crate) fn from_key(key: &ApiKey) -> Self {
        let rights = key.rights();
        let state = FormState::default()
            .keep("requestsPerMinute", &rights.requests_per_minute.to_string())
            .keep("allowedNetworks", &rights.networks.texts().join("\n"));
        Self { state, scopes: rights.scopes }
    }

    /// Returns `None` and keeps the errors if any field is wrong.
    pub(crate) fn parse(&mut self) -> Option<KeySpec> {
        let name = self.state.value("name").parse::<KeyName>();
        let name = self.state.check("name", name);
        let lifetime = self.lifetime();
        let rights = self.rights();
        Some(KeySpec { name: name?, lifetime: lifetime?, rights: rights? })
    }

    /// Checks the end against our clock. The service checks it again, by the clock of the database.
    fn lifetime(&mut self) -> Option<KeyLifetime> {
        let (expires, day) = (self.state.value("expires"), self.state.value("expiresOn"));
        if expires != "date" && !day.is_empty() {
            let message = "Choose “On” to use this date, or clear it.";
            return self.state.check::<KeyLifetime, _>("expiresOn", Err(message));
        }
        let field = if expires == "date" { "expiresOn" } else { "expires" };
        let lifetime = KeyLifetime::from_form(expires, day).and_then(|it| it.end(now()).map(|_end| it));
        self.state.check(field, lifetime)
    }

    /// Returns `None` and keeps the errors if any field is wrong.
    pub(crate) fn rights(&mut self) -> Option<KeyRights> {
        if self.scopes.is_empty() {
            self.state.check::<(), _>("scopes", Err("Select at least one scope."));
        }
        let requests_per_minute = self.state.value("requestsPerMinute").parse();
        let networks = self.state.value("allowedNetworks").parse();
        let requests_per_minute = self.state.check("requestsPerMinute", requests_per_minute);
        let networks = self.state.check("allowedNetworks", networks);
        if self.state.error("scopes").is_some() || self.state.error("requestsPerMinute").is_some() {
            return None;
        }
        Some(KeyRights {
            scopes: self.scopes.clone(),
            requests_per_minute: requests_per_minute?,
            networks: networks?,
        })
    }

    /// Adds the error to its field. Returns `false` if it is not about a field.
    pub(crate) fn refuse(&mut self, error: &KeyChangeError) -> bool {
        let Some((field, message)) = error.field() else { return false };
        self.state.check::<(), _>(field, Err(message));
        true
    }

    /// Each scope, and whether its box is checked.
    pub(crate) fn scope_boxes(&self) -> [(Scope, bool); Scope::ALL.len()] {
        Scope::ALL.map(|scope| (scope, self.scopes.contains(&scope)))
    }

    /// Whether this radio button of the lifetime is chosen.
    pub(crate) fn has_lifetime(&self, expires: &str) -> bool {
        self.state.value("expires") == expires
    }

    /// Whether the advanced fields are unfolded: if any has an error or the scopes are not the default.
    pub(crate) fn is_open(&self) -> bool {
        ["scopes", "expires", "expiresOn", "requestsPerMinute", "allowedNetworks"]
            .iter()
            .any(|field| self.state.error(field).is_some())
            || self.scopes != [Scope::SessionsRead]
    }
}

/// The empty form.
impl Default for KeyForm {
    fn default() -> Self {
        Self::from_fields(&FormFields::<0>::default())
    }
}

/// The selected scopes. A form without boxes, as a program may send it, means a key that reads.
fn selected_scopes<const LIMIT: usize>(fields: &FormFields<LIMIT>) -> Vec<Scope> {
    if fields.get("chooseScopes").is_none() {
        return vec![Scope::SessionsRead];
    }
    Scope::ALL.into_iter().filter(|scope| fields.get(scope.as_str()).is_some()).collect()
}
