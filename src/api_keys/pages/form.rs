//! The fields of a key in a form: what was typed, what is wrong with it, and what it means.

use crate::{
    api_keys::{
        error::KeyChangeError,
        key::ApiKey,
        lifetime::KeyLifetime,
        new_key::{KeyName, KeyRequest},
        rights::{KeyRights, RequestsPerMinute, Scope},
    },
    web::{body::FormFields, form::FormState, time::now},
};

/// The form of a key that is made or changed.
#[derive(Clone, Debug)]
pub(crate) struct KeyForm {
    pub(crate) state: FormState,
    scopes: Vec<Scope>,
}

impl KeyForm {
    /// What a form sent. What it does not have is as in the empty form: a program may send a name alone.
    pub(crate) fn read<const LIMIT: usize>(fields: &FormFields<LIMIT>) -> Self {
        let or = |name: &str, default: &str| fields.get(name).unwrap_or(default).to_owned();
        let state = FormState::default()
            .keep("name", fields.text("name"))
            .keep("expires", &or("expires", &KeyLifetime::DAYS_DEFAULT.to_string()))
            .keep("expiresOn", fields.text("expiresOn"))
            .keep("requestsPerMinute", &or("requestsPerMinute", &RequestsPerMinute::DEFAULT.to_string()))
            .keep("allowedNetworks", fields.text("allowedNetworks"));
        Self { state, scopes: chosen_scopes(fields) }
    }

    /// What a form changes of a key. What it does not have stays as it is.
    pub(crate) fn changed<const LIMIT: usize>(fields: &FormFields<LIMIT>, key: &ApiKey) -> Self {
        let before = Self::of(key);
        let sent = |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value);
        let or_before = |name: &str| sent(name).unwrap_or(before.state.value(name)).to_owned();
        let mut state = FormState::default()
            .keep("requestsPerMinute", &or_before("requestsPerMinute"))
            .keep("allowedNetworks", &or_before("allowedNetworks"));
        if state.value("requestsPerMinute").trim().is_empty() {
            state = state.refuse("requestsPerMinute", "Say how many. 0 means no limit.");
        }
        let has_boxes = sent("chooseScopes").is_some();
        Self { state, scopes: if has_boxes { chosen_scopes(fields) } else { before.scopes } }
    }

    /// The rights of a key, to be changed.
    pub(crate) fn of(key: &ApiKey) -> Self {
        let rights = key.rights();
        let state = FormState::default()
            .keep("requestsPerMinute", &rights.requests_per_minute.to_string())
            .keep("allowedNetworks", &rights.networks.texts().join("\n"));
        Self { state, scopes: rights.scopes }
    }

    /// The key that the form asks for; `None`: something in it is wrong.
    pub(crate) fn plan(&mut self) -> Option<KeyRequest> {
        let name = self.state.value("name").parse::<KeyName>();
        let name = self.state.check("name", name);
        let lifetime = self.lifetime();
        let rights = self.rights();
        Some(KeyRequest { name: name?, lifetime: lifetime?, rights: rights? })
    }

    /// How long the key shall live; `None`: something in it is wrong. The database has the last word on what is over.
    fn lifetime(&mut self) -> Option<KeyLifetime> {
        let (expires, day) = (self.state.value("expires"), self.state.value("expiresOn"));
        if expires != "date" && !day.is_empty() {
            let message = "You gave a day: choose “at the end of” for it, or clear it.";
            return self.state.check::<KeyLifetime, _>("expiresOn", Err(message));
        }
        let field = if expires == "date" { "expiresOn" } else { "expires" };
        let lifetime = KeyLifetime::chosen(expires, day).and_then(|it| it.end(now()).map(|_end| it));
        self.state.check(field, lifetime)
    }

    /// The rights that the form asks for; `None`: something in it is wrong.
    pub(crate) fn rights(&mut self) -> Option<KeyRights> {
        let requests_per_minute = self.state.value("requestsPerMinute").parse();
        let networks = self.state.value("allowedNetworks").parse();
        let requests_per_minute = self.state.check("requestsPerMinute", requests_per_minute);
        let networks = self.state.check("allowedNetworks", networks);
        if self.scopes.is_empty() {
            self.state.check::<(), _>("scopes", Err("Choose at least one."));
            return None;
        }
        if self.state.error("requestsPerMinute").is_some() {
            return None;
        }
        Some(KeyRights {
            scopes: self.scopes.clone(),
            requests_per_minute: requests_per_minute?,
            networks: networks?,
        })
    }

    /// Adds what is wrong to its field, if it is about one.
    pub(crate) fn refuse(&mut self, error: &KeyChangeError) -> bool {
        let Some((field, message)) = error.field() else { return false };
        self.state.check::<(), _>(field, Err(message));
        true
    }

    /// Each scope, and whether its box is ticked.
    pub(crate) fn boxes(&self) -> [(&'static str, bool); Scope::ALL.len()] {
        Scope::ALL.map(|scope| (scope.as_str(), self.scopes.contains(&scope)))
    }

    /// Whether this is how long the key shall live.
    pub(crate) fn lives(&self, expires: &str) -> bool {
        self.state.value("expires") == expires
    }

    /// Whether something is wrong or unusual in what can be folded away: then it is not.
    pub(crate) fn is_open(&self) -> bool {
        ["scopes", "expires", "expiresOn", "requestsPerMinute", "allowedNetworks"]
            .iter()
            .any(|field| self.state.error(field).is_some())
            || self.scopes != [Scope::SessionsRead]
    }
}

/// A key that reads, for the usual time.
impl Default for KeyForm {
    fn default() -> Self {
        Self::read(&FormFields::<0>::default())
    }
}

/// The ticked boxes. A form without boxes, posted by a program, asks for a key that reads.
fn chosen_scopes<const LIMIT: usize>(fields: &FormFields<LIMIT>) -> Vec<Scope> {
    if fields.get("chooseScopes").is_none() {
        return vec![Scope::SessionsRead];
    }
    Scope::ALL.into_iter().filter(|scope| fields.get(scope.as_str()).is_some()).collect()
}
