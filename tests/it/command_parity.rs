//! Whatever users do in the browser, the operator can do with a command.

use std::{collections::BTreeSet, process::Command};

use Counterpart::{Browser, Runs, User};
use uptok::pages::{PAGE_ROUTES, PageMethod};

/// What the operator runs instead of a form.
enum Counterpart {
    /// `uptok` with these words.
    Runs(&'static [&'static str]),
    /// Nothing: it is about one browser, such as its login or its colours.
    Browser,
    /// Nothing: it proves that the user has an authenticator app.
    User,
}

/// Every form of the pages.
const FORMS: [(&str, Counterpart); 40] = [
    ("/theme", Browser),
    ("/register", Runs(&["user", "add"])),
    ("/login", Browser),
    ("/login/second-factor", Browser),
    ("/confirm", Browser),
    ("/logout", Runs(&["user", "end-sign-ins"])),
    ("/password/forgot", Runs(&["user", "reset-link"])),
    ("/password/reset/{token}", Runs(&["user", "password"])),
    ("/account", Runs(&["user", "rename"])),
    ("/account", Runs(&["user", "change-email"])),
    ("/account", Runs(&["user", "password"])),
    ("/account/delete", Runs(&["user", "delete"])),
    ("/account/sign-ins/end", Runs(&["user", "end-sign-ins"])),
    ("/account/sign-ins/end-others", Runs(&["user", "end-sign-ins"])),
    ("/account/second-factor/set-up", User),
    ("/account/second-factor/turn-on", User),
    ("/account/second-factor/recovery-codes", User),
    ("/account/second-factor/turn-off", Runs(&["user", "reset-second-factor"])),
    ("/email/confirm/{email_token}", Runs(&["user", "change-email"])),
    ("/clients/active", Browser),
    ("/clients/new", Runs(&["client", "add"])),
    ("/invitations/{invitation_token}", Runs(&["user", "role"])),
    ("/sessions/erase", Runs(&["erase"])),
    ("/sessions/import", Runs(&["import"])),
    ("/sessions/imports/{import_id}/columns", Runs(&["import"])),
    ("/sessions/imports/{import_id}/start", Runs(&["import"])),
    ("/sessions/imports/{import_id}/discard", Runs(&["imports", "discard"])),
    ("/settings/api-keys", Runs(&["keys", "create"])),
    ("/settings/api-keys/delete", Runs(&["keys", "delete"])),
    ("/settings/api-keys/{public_key}", Runs(&["keys", "change"])),
    ("/settings/api-keys/{public_key}/delete", Runs(&["keys", "delete"])),
    ("/settings/api-keys/{public_key}/replacement", Runs(&["keys", "replace"])),
    ("/settings/client", Runs(&["client", "rename"])),
    ("/settings/client", Runs(&["client", "require-second-factor"])),
    ("/settings/members", Runs(&["invitation", "create"])),
    ("/settings/members/invitations/{invitation_id}/resend", Runs(&["invitation", "resend"])),
    ("/settings/members/invitations/{invitation_id}/withdraw", Runs(&["invitation", "withdraw"])),
    ("/settings/members/leave", Runs(&["user", "remove"])),
    ("/settings/members/{user_id}/role", Runs(&["user", "role"])),
    ("/settings/members/{user_id}/remove", Runs(&["user", "remove"])),
];

/// Readers of the API documentation send these. They are no users.
const FORMS_OF_READERS: [&str; 1] = ["/questions"];

#[test]
fn every_form_has_a_command() {
    let forms: BTreeSet<&str> = PAGE_ROUTES
        .into_iter()
        .filter(|route| matches!(route.method, PageMethod::Post(_)))
        .map(|route| route.path)
        .filter(|path| !FORMS_OF_READERS.contains(path))
        .collect();
    assert_eq!(FORMS.iter().map(|(path, _)| *path).collect::<BTreeSet<_>>(), forms);

    for (path, counterpart) in FORMS {
        let Runs(words) = counterpart else { continue };
        let help = Command::new(env!("CARGO_BIN_EXE_uptok")).args(words).arg("--help").output().unwrap();
        assert!(help.status.success(), "{path}: {words:?}");
    }
}
