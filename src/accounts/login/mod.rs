//! What surrounds a login: limits on attempts, the cookie of a known browser, and getting back to what a visitor wanted.

pub(super) mod after_login;
pub(super) mod device_cookie;
pub(super) mod interrupted_form;
pub(super) mod invitation_acceptor;
pub(super) mod login_throttles;
pub(super) mod route_check;
pub(super) mod user_agent;
