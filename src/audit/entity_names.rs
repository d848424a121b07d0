//! The names of the users and API keys that records mention.

use std::collections::{HashMap, HashSet};

/// The names of users by their ids and of API keys by their public keys.
#[derive(Clone, Debug, Default)]
pub(super) struct EntityNames {
    names: HashMap<String, String>,
    member_ids: HashSet<String>,
}

impl EntityNames {
    /// `member_ids` are the users who are members of the client now.
    pub(super) fn new(names: HashMap<String, String>, member_ids: impl IntoIterator<Item = String>) -> Self {
        Self { names, member_ids: member_ids.into_iter().collect() }
    }

    pub(super) fn name(&self, id: &str) -> Option<&str> {
        self.names.get(id).map(String::as_str)
    }

    /// The row of a user on the page of members. Former members and strangers have none.
    pub(super) fn member_link(&self, user_id: &str) -> Option<String> {
        self.member_ids.contains(user_id).then(|| format!("/settings/members#member-{user_id}"))
    }
}
