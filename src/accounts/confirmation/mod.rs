//! Asking for the password or a code again before what matters, if the last time was more than an hour ago.
//!
//! The table of page routes names the forms that need it. Such a form is answered with a page that asks, and that carries
//! the form. Once the answer is right, the form is completed as if it had been sent again.

mod confirm_page;
pub(crate) mod pages;
pub(crate) mod replay;
pub(crate) mod route_check;
