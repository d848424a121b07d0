//! `uptok user role`, `remove`, `disable` and `enable`: their effect on existing sign-ins and their audit
//! records.

use std::process::{Command, Output};

use crate::support::{
    TestApp,
    test_app::{PASSWORD, SECRET},
};

fn run_user_command(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.arg("user").args(arguments).env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET);
    command.output().unwrap()
}

fn read_output(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

/// Lists the audit records about members except their addition, in order.
fn list_member_events(app: &TestApp) -> String {
    app.db.query_text(
        "select coalesce(string_agg(act || ' ' || details, ' ' order by sequence), '') as answer from audit_log \
         where act in ('member.changed', 'member.removed')",
    )
}

/// Waits until `count` failed logins are recorded, which happens after their responses are sent.
async fn wait_for_failed_logins(app: &TestApp, count: usize) {
    let sql = "select count(*)::text as answer from audit_log where act = 'sign_in.failed'";
    for _ in 0..400 {
        if app.db.query_text(sql) == count.to_string() {
            return;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(app.db.query_text(sql), count.to_string());
}

#[actix_web::test]
async fn disabled_owner_does_not_count_as_an_owner() {
    let app = TestApp::start().await;
    let client = app.sign_up("ada").await.client_id().await;
    app.sign_up("eve").await;
    app.db.execute("update memberships set role = 'member' where user_id = (select user_id from users where name = 'eve')");
    let role = |email, role| {
        run_user_command(&app, &["role", "--email", email, "--client", &client, "--role", role])
    };
    assert!(role("eve@example.org", "owner").status.success());
    assert!(run_user_command(&app, &["disable", "--email", "eve@example.org"]).status.success());

    assert!(read_output(&role("ada@example.org", "member")).contains("is the only owner of"));
    assert!(run_user_command(&app, &["enable", "--email", "eve@example.org"]).status.success());
    assert!(role("ada@example.org", "member").status.success());
}

#[actix_web::test]
async fn role_change_applies_from_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    app.db.execute("update memberships set role = 'admin'");
    let role = |role| {
        run_user_command(&app, &["role", "--email", "ada@example.org", "--client", &client, "--role", role])
    };

    assert_eq!(read_output(&role("member")), format!("ada@example.org is member of {client}\n"));
    assert_eq!(ada.post("/settings/api-keys", &[("name", "x")]).await.status, 403);
    assert!(role("owner").status.success() && role("owner").status.success());
    assert_eq!(ada.post("/settings/api-keys", &[("name", "x")]).await.status, 200);

    let refused = role("member");
    assert!(
        !refused.status.success() && read_output(&refused).contains("is the only owner of"),
        "{}",
        read_output(&refused)
    );
    assert_eq!(
        list_member_events(&app),
        r#"member.changed {"changed":"role","from":"admin","to":"member"} member.changed {"changed":"role","from":"member","to":"owner"}"#
    );
}

#[actix_web::test]
async fn removed_member_is_signed_out_with_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let key = ada.generate("laptop").await;
    let remove = || run_user_command(&app, &["remove", "--email", "ada@example.org", "--client", &client]);

    assert!(read_output(&remove()).contains("is the only owner of"));
    app.db.execute("update memberships set role = 'admin'");
    let removed = read_output(&remove());
    assert!(
        removed.starts_with(&format!("ada@example.org is no longer a member of {client}\n")),
        "{removed}"
    );

    ada.get("/settings/api-keys").await.assert_sent_to("/login");
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200, "keys stay");
    assert!(read_output(&remove()).contains("is not a member of"));
    assert_eq!(list_member_events(&app), r#"member.removed {"role":"admin"}"#);
    assert_eq!(read_output(&run_user_command(&app, &["list"])), "ada@example.org\t-\t-\n");

    let back = run_user_command(
        &app,
        &["role", "--email", "ada@example.org", "--client", &client, "--role", "member"],
    );
    assert!(back.status.success(), "{}", read_output(&back));
    app.log_in("ada").await;
}

#[actix_web::test]
async fn active_keys_of_a_user_who_goes_are_listed() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let client = ada.client_id().await;
    let mut keys = Vec::new();
    for name in ["laptop", "deleted", "expired", "replaced", "of eve", "of nobody"] {
        keys.push(ada.generate(name).await[..18].to_owned());
    }
    let elsewhere = eve.generate("elsewhere").await[..18].to_owned();
    app.db.execute("update memberships set role = 'admin'");
    app.db.execute("update api_keys set deleted_at = now(), secret_hash = null where name = 'deleted'");
    app.db.execute("update api_keys set created_at = now() - interval '2 days', expires_at = now() - interval '1 day' where name = 'expired'");
    app.db.execute(&format!(
        "update api_keys set expires_at = now() + interval '1 hour', replaced_by = '{}' where name = 'replaced'",
        keys[0]
    ));
    app.db.execute(
        "update api_keys set created_by = (select user_id from users where name = 'eve') where name = 'of eve'",
    );
    app.db.execute("update api_keys set created_by = null where name = 'of nobody'");
    let role = ["role", "--email", "eve@example.org", "--client", &client, "--role", "admin"];
    assert!(run_user_command(&app, &role).status.success());
    let go = |command, email: &str| {
        let arguments: &[&str] = match command {
            "remove" => &["remove", "--email", email, "--client", &client],
            _ => &[command, "--email", email],
        };
        read_output(&run_user_command(&app, arguments))
    };

    let disabled = go("disable", "eve@example.org");
    let removed = go("remove", "ada@example.org");
    let rest = go("remove", "eve@example.org");
    app.db.execute("update api_keys set deleted_at = now(), secret_hash = null");
    let enabled = go("enable", "eve@example.org");

    let listed = |output: &str| -> Vec<String> {
        let keys = output.lines().filter_map(|line| line.split_once('\t'));
        keys.map(|(public_key, _)| public_key.to_owned()).collect()
    };
    assert_eq!(listed(&removed), [keys[0].as_str(), &keys[3]], "{removed}");
    assert!(removed.contains(&format!("Keys of {client} that this user created stay active")), "{removed}");
    assert!(removed.lines().any(|line| line.ends_with("\tlaptop")), "{removed}");
    assert_eq!(listed(&rest), [keys[4].as_str()], "{rest}");
    let mut of_eve = listed(&disabled);
    of_eve.sort();
    let mut expected = [keys[4].clone(), elsewhere];
    expected.sort();
    assert_eq!(of_eve, expected, "{disabled}");
    assert_eq!(enabled, "eve@example.org can log in\n");
}

#[actix_web::test]
async fn a_user_without_active_keys_goes_without_a_list() {
    let app = TestApp::start().await;
    let client = app.sign_up("ada").await.client_id().await;
    app.db.execute("update memberships set role = 'member'");

    let removed = run_user_command(&app, &["remove", "--email", "ada@example.org", "--client", &client]);

    assert_eq!(read_output(&removed), format!("ada@example.org is no longer a member of {client}\n"));
}

#[actix_web::test]
async fn keys_are_listed_by_their_creator() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let client = ada.client_id().await;
    let key = ada.generate("laptop").await;
    ada.generate("of eve").await;
    eve.generate("elsewhere").await;
    for name in ["by the key of eve", "by that key"] {
        ada.generate(name).await;
    }
    app.db.execute(
        "update api_keys set created_by = (select user_id from users where name = 'eve') where name = 'of eve'",
    );
    for (name, creator) in [("by the key of eve", "of eve"), ("by that key", "by the key of eve")] {
        let creator =
            app.db.query_text(&format!("select public_key as answer from api_keys where name = '{creator}'"));
        app.db.execute(&format!(
            "update api_keys set created_by = null, created_by_key = '{creator}' where name = '{name}'"
        ));
    }
    let list = |email| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
        command.args(["keys", "list", "--client", &client, "--created-by", email]);
        command.env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET).output().unwrap()
    };

    let of_ada = read_output(&list("ada@example.org"));
    let of_eve = read_output(&list("eve@example.org"));
    let unknown = list("nobody@example.org");

    assert!(of_ada.starts_with(&key[..18]) && of_ada.ends_with("\tlaptop\n"), "{of_ada}");
    let names = of_eve.lines().map(|line| line.rsplit('\t').next().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["of eve", "by the key of eve", "by that key"], "{of_eve}");
    assert_eq!(of_ada.lines().count(), 1);
    assert!(
        !unknown.status.success() && read_output(&unknown).contains("there is no user nobody@example.org")
    );
}

#[actix_web::test]
async fn disabled_user_cannot_sign_in_until_enabled() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let set = |command| run_user_command(&app, &[command, "--email", "ada@example.org"]);
    // The only owner of a client cannot be disabled.
    app.db.execute("update memberships set role = 'admin'");

    assert!(set("disable").status.success() && set("disable").status.success());
    assert!(read_output(&run_user_command(&app, &["list"])).ends_with("\tdisabled\n"));
    ada.get("/settings/api-keys").await.assert_sent_to("/login");
    for password in [PASSWORD, "not her password"] {
        let fields = [("email", "ada@example.org"), ("password", password)];
        assert_eq!(app.visitor().post("/login", &fields).await.status, 422);
    }
    wait_for_failed_logins(&app, 2).await;
    assert!(set("enable").status.success());
    ada.get("/settings/api-keys").await.assert_sent_to("/login");

    app.log_in("ada").await;
    assert_eq!(
        list_member_events(&app),
        r#"member.changed {"changed":"disabled"} member.changed {"changed":"enabled"}"#
    );
    assert!(
        read_output(&run_user_command(&app, &["disable", "--email", "eve@example.org"]))
            .contains("there is no user")
    );
}
