//! `uptok keys change` and `replace`.

use std::process::Command;

use crate::support::{TestApp, test_app::SECRET};

fn run(app: &TestApp, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn last_details(app: &TestApp) -> String {
    app.db.query_text("select act || ' ' || details as answer from audit_log order by sequence desc limit 1")
}

#[actix_web::test]
async fn operator_changes_the_rights_that_are_named() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let key = ada.generate("laptop").await;
    let change = |rights: &[&str]| {
        run(&app, &[&["keys", "change", "--client", client.as_str(), &key[..18]], rights].concat())
    };

    let changed = change(&["--allow", "192.0.2.0/24", "--allow", "192.0.2.7"]).unwrap();
    assert_eq!(changed, format!("{} (laptop) is changed\n", &key[..18]));
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 403, "from another address");
    change(&["--requests-per-minute", "5"]).unwrap();
    assert_eq!(
        last_details(&app),
        r#"key.changed {"name":"laptop","requestsPerMinute":"5","requestsPerMinuteBefore":"600"}"#
    );
    change(&["--allow-all"]).unwrap();
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    change(&["--scope", "sessions:write"]).unwrap();
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 403);

    assert!(change(&["--allow", "x"]).is_err());
    assert!(change(&["--allow", "192.0.2.7", "--allow-all"]).is_err());
    let nothing = change(&[]).unwrap_err();
    assert!(nothing.contains("say what to change: --scope"), "{nothing}");
    let unknown =
        run(&app, &["keys", "change", "--client", &client, "uptok_000000000000", "--allow-all"]).unwrap_err();
    assert!(unknown.contains("has no key uptok_000000000000"), "{unknown}");
    let whole = run(&app, &["keys", "change", "--client", &client, &key]).unwrap_err();
    assert!(!whole.contains(&key[19..]), "{whole}");
}

#[actix_web::test]
async fn operator_replaces_a_key_at_once_or_with_a_grace_period() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let old = ada.generate("laptop").await;
    let replace = |key: &str, more: &[&str]| {
        run(&app, &[&["keys", "replace", "--client", client.as_str(), &key[..18]], more].concat())
    };

    let second = replace(&old, &[]).unwrap().trim().to_owned();
    assert_eq!(app.export(&[("clientKey", &old)]).await.status, 401);
    let third = replace(&second, &["--grace-seconds", "3600"]).unwrap().trim().to_owned();

    for key in [&second, &third] {
        assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
    }
    assert!(last_details(&app).starts_with("key.replaced "));
    assert!(replace(&old, &[]).is_err(), "it is deleted");
    assert!(replace(&third, &["--grace-seconds", "60"]).is_err());
    assert!(replace("uptok_000000000000", &[]).unwrap_err().contains("has no key"));
}
