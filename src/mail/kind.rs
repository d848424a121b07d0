//! What a mail is about.

use crate::db::sql::text_enum;

text_enum! {
    /// The kind of a mail, as `uptok mail list` shows it.
    MailKind {
        /// A link to join a client.
        Invitation = "invitation",
        /// A link to set a new password.
        PasswordReset = "password_reset",
        /// The password was changed.
        PasswordChanged = "password_changed",
        /// A link to confirm a new email.
        EmailConfirmation = "email_confirmation",
        /// The email was changed; goes to the old one.
        EmailChanged = "email_changed",
        /// A login with a browser that had not logged in to the account before.
        NewDevice = "new_device",
        /// The second factor was turned on or off, or its recovery codes changed.
        SecondFactorChanged = "second_factor_changed",
        /// A question from a reader of the API documentation.
        Question = "question",
        /// Sent by `uptok mail test`, never stored.
        Test = "test",
    }
}
