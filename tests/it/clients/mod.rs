//! Clients of a user, their members and invitations.

use std::process::{Command, Output};

use crate::support::{Reply, TestApp, Visitor, test_app::SECRET};

mod commands;
mod invitations;
mod members;
mod second_factor;
mod switch;
mod withdrawn_invitations;

/// Invites an address with a role, and returns the path of the link.
async fn invite(visitor: &Visitor, email: &str, role: &str) -> String {
    let reply = visitor.post("/settings/members", &[("email", email), ("role", role)]).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    link_path(&reply)
}

/// The path of the link that a page shows.
fn link_path(reply: &Reply) -> String {
    let link = reply.html().text("[data-link]");
    let (_origin, token) = link.split_once("/invitations/").unwrap();
    format!("/invitations/{token}")
}

/// Makes a user, by the name before the email address, a member of a client.
fn join(app: &TestApp, client: &str, name: &str, role: &str) {
    app.db.execute(&format!(
        "insert into memberships (client_id, user_id, role) \
         select '{client}', user_id, '{role}' from users where email = '{name}@example.org'"
    ));
}

fn user_id(app: &TestApp, name: &str) -> String {
    app.db
        .query_text(&format!("select user_id::text as answer from users where email = '{name}@example.org'"))
}

/// The audit records of a client about members, invitations, switches and the client, in order.
fn list_events(app: &TestApp, client: &str) -> Vec<String> {
    let records = app.db.query_text(&format!(
        "select coalesce(string_agg(act || ' by ' || actor_kind || ' ' || details, E'\\n' order by sequence), '') \
         as answer from audit_log where client_id = '{client}' \
         and act !~ '^(key|sign_in[.](succeeded|ended|failed))'"
    ));
    records.lines().map(str::to_owned).collect()
}

fn run_command(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.args(arguments).env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET);
    command.env("UPTOK_PUBLIC_URL", &app.url).output().unwrap()
}

fn read_output(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}
