//! The mail about accounts.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    mail::{MailKind, MailMessage, OutgoingMail},
    web::format::{rounded_duration, time::DisplayTime},
};

/// An invitation to join a client. `link` accepts it.
pub(crate) fn invitation(
    to: &str,
    client_name: &str,
    inviter: &str,
    link: String,
    valid_for: TimeDelta,
) -> OutgoingMail {
    let message = MailMessage::new(format!("Join {client_name} on Uptok"))
        .text(format!("{inviter} invites you to join {client_name} on Uptok."))
        .link("Open the invitation", link)
        .text(format!(
            "The link is valid for {} and works once. If you do not know {inviter}, ignore this mail.",
            rounded_duration(valid_for)
        ));
    OutgoingMail::new(MailKind::Invitation, to, message).valid_for(valid_for)
}

/// A link to set a new password.
pub(super) fn password_reset(to: &str, link: String, valid_for: TimeDelta) -> OutgoingMail {
    let message = MailMessage::new("Set a new password for Uptok")
        .text("Someone asked for a new password for your account. If it was you, set it here:")
        .link("Set a new password", link)
        .text(format!(
            "The link is valid for {} and works once. If it was not you, ignore this mail: your password stays as it is.",
            rounded_duration(valid_for)
        ));
    OutgoingMail::new(MailKind::PasswordReset, to, message).valid_for(valid_for)
}

/// Reports a new password.
pub(super) fn password_changed(to: &str, forgot_link: String) -> OutgoingMail {
    let message = MailMessage::new("Your Uptok password was changed")
        .text("The password of your account was changed. All other sign-ins have ended.")
        .text("If it was not you, set another password immediately:")
        .link("Set a new password", forgot_link);
    OutgoingMail::new(MailKind::PasswordChanged, to, message)
}

/// What happened to a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecondFactorChange {
    TurnedOn,
    TurnedOff,
    NewRecoveryCodes,
    UsedRecoveryCode,
    /// The operator removed it, because the user had lost it.
    Reset,
}

/// Reports a change of the second factor. `link` leads to the page that shows it.
pub(super) fn second_factor_changed(
    to: &str,
    change: SecondFactorChange,
    recovery_codes_left: i64,
    link: String,
) -> OutgoingMail {
    let left = format!("Recovery codes left: {recovery_codes_left}.");
    let (subject, text) = match change {
        SecondFactorChange::TurnedOn => (
            "Your Uptok account has a second factor now",
            "From now on, logging in takes a code of your authenticator app.".to_owned(),
        ),
        SecondFactorChange::TurnedOff => (
            "The second factor of your Uptok account was turned off",
            "Logging in takes only your password again. Your recovery codes no longer work.".to_owned(),
        ),
        SecondFactorChange::NewRecoveryCodes => (
            "Your Uptok account has new recovery codes",
            "New recovery codes were created. The earlier ones no longer work.".to_owned(),
        ),
        SecondFactorChange::UsedRecoveryCode => (
            "A recovery code of your Uptok account was used",
            format!("A recovery code was used instead of a code of your authenticator app. {left}"),
        ),
        SecondFactorChange::Reset => (
            "The second factor of your Uptok account was removed",
            "The people who run this installation removed it. Logging in takes only your password again."
                .to_owned(),
        ),
    };
    let message = MailMessage::new(subject)
        .text(text)
        .text("If it was not you, change your password immediately and check your second factor:")
        .link("Show your second factor", link);
    OutgoingMail::new(MailKind::SecondFactorChanged, to, message)
}

/// A link that confirms a new email.
pub(super) fn email_confirmation(to: &str, link: String, valid_for: TimeDelta) -> OutgoingMail {
    let message = MailMessage::new("Confirm your email for Uptok")
        .text(format!("Confirm that {to} is the email of your Uptok account:"))
        .link("Confirm this email", link)
        .text(format!(
            "The link is valid for {} and works once. If you did not ask for it, ignore this mail.",
            rounded_duration(valid_for)
        ));
    OutgoingMail::new(MailKind::EmailConfirmation, to, message).valid_for(valid_for)
}

/// Reports a new email to the old one.
pub(super) fn email_changed(to: &str, new_email: &str) -> OutgoingMail {
    let message = MailMessage::new("The email of your Uptok account was changed")
        .text(format!("The email of your account is now {new_email}. This address no longer logs in."))
        .text("If it was not you, tell an owner of your client or the people who run this installation immediately.");
    OutgoingMail::new(MailKind::EmailChanged, to, message)
}

/// A login with a browser that had not logged in to the account before.
pub(super) struct NewDevice<'a> {
    pub(super) device: &'a str,
    pub(super) address: &'a str,
    pub(super) at: DateTime<Utc>,
}

/// Reports a login with a new browser. `sign_ins_link` shows all sign-ins.
pub(super) fn new_device(to: &str, sign_in: &NewDevice<'_>, sign_ins_link: String) -> OutgoingMail {
    let at = DisplayTime::from(sign_in.at).text;
    let message = MailMessage::new("A new device logged in to your Uptok account")
        .text(format!(
            "{} logged in to your account on {at}, from the address {}.",
            sign_in.device, sign_in.address
        ))
        .text("If it was not you, end that sign-in and change your password:")
        .link("Show your sign-ins", sign_ins_link);
    OutgoingMail::new(MailKind::NewDevice, to, message)
}
