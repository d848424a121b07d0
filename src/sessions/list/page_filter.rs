//! The filters of the page, which select more freely than those of the API: the agent without case, and the shopper of a
//! session.

use diesel::{prelude::*, result::Error::NotFound};
use uuid::Uuid;

use super::agents;
use crate::{
    ids::ClientId,
    sessions::{erasure::shopper::ShopperIdentifier, filter::SessionFilter, queries},
};

/// The filters as the visitor chose them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageFilter {
    /// With the name of the agent as it was typed.
    pub(crate) filter: SessionFilter,
    /// Selects the sessions of the same shopper as this session, so that no address names the shopper.
    pub(crate) shopper_of: Option<Uuid>,
}

pub(crate) struct ResolvedFilter {
    pub(crate) filter: SessionFilter,
    /// Name, ID or email of the shopper, if the list is limited to one.
    pub(crate) shopper: Option<String>,
}

/// Looks up the agent and the shopper. Fails with `NotFound` if the session of the shopper is unknown or names none.
pub(crate) fn resolve_filter(
    connection: &mut PgConnection,
    client: &ClientId,
    chosen: &PageFilter,
) -> QueryResult<ResolvedFilter> {
    let mut filter = chosen.filter.clone();
    if let [typed] = filter.agent_names.as_slice() {
        filter.agent_names = agents::find_spellings(connection, client, typed)?;
    }
    let Some(session_id) = chosen.shopper_of else {
        return Ok(ResolvedFilter { filter, shopper: None });
    };
    let session = queries::find_for_member(connection, client, session_id)?;
    let shopper = ShopperIdentifier::from_session(&session).ok_or(NotFound)?;
    let name = session.shopper_name.unwrap_or_else(|| shopper.text().to_owned());
    filter.shopper = Some(shopper);
    Ok(ResolvedFilter { filter, shopper: Some(name) })
}
