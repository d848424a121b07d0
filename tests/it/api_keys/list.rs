//! Settings → API Keys.

use futures_util::future::join_all;
use reqwest::Method;

use crate::support::{TestApp, Visitor};

pub(super) const INDEX: &str = "/settings/api-keys";

pub(super) fn public_part(key: &str) -> &str {
    &key[..18]
}

pub(super) fn key_path(key: &str) -> String {
    format!("{INDEX}/{}", public_part(key))
}

pub(super) fn delete_path(key: &str) -> String {
    format!("{INDEX}/{}/delete", public_part(key))
}

pub(super) fn replacement_path(key: &str) -> String {
    format!("{INDEX}/{}/replacement", public_part(key))
}

pub(super) async fn read_form_nonce(visitor: &Visitor) -> String {
    visitor.get(INDEX).await.html().attribute("input[name=formNonce]", "value")
}

#[actix_web::test]
async fn key_is_shown_whole_once_and_masked_afterwards() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let reply = ada.post(INDEX, &[("name", "Warehouse")]).await;

    let page = reply.html();
    let key = page.text("[data-whole-key-text]");
    assert_eq!(key.len(), 57);
    assert!(page.cell("Warehouse", "Public Key").contains(&key));
    assert_eq!(page.cell("Warehouse", "Client ID"), ada.client_id().await);
    let later = ada.get(INDEX).await;
    assert!(!later.body.contains(&key[19..]));
    assert_eq!(later.html().cell("Warehouse", "Public Key"), format!("{}_••••", public_part(&key)));
    assert!(later.html().cell("Warehouse", "Created At").ends_with("by ada"));
    assert!(later.html().attribute("tbody time", "title").ends_with("UTC"));
}

#[actix_web::test]
async fn table_has_its_columns_and_menu_entries() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    ada.generate("laptop").await;

    let page = ada.get(INDEX).await.html();

    let columns = page.texts("thead th");
    let main_columns = ["Name", "Public Key", "Client ID", "Created At", "Action"];
    assert_eq!(
        columns.iter().filter(|it| main_columns.contains(&it.as_str())).collect::<Vec<_>>(),
        main_columns
    );
    assert_eq!(columns[4..6], ["Status", "Last used · past 24 h"]);
    assert_eq!(page.texts("form.generate label[for]"), ["Name"]);
    assert_eq!(page.texts("form.generate button"), ["Generate Key"]);
    let entries = page.texts(".actions a");
    assert!(
        entries.iter().any(|it| it.starts_with("Delete"))
            && entries.iter().any(|it| it.starts_with("Replace"))
    );
}

#[actix_web::test]
async fn response_that_shows_a_key_is_not_stored() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let reply = ada.post(INDEX, &[("name", "laptop")]).await;

    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("set-cookie"), "");
}

#[actix_web::test]
async fn database_contains_no_secret() {
    let app = TestApp::start().await;
    let key = app.sign_up("ada").await.generate("laptop").await;

    let dump = std::process::Command::new("psql")
        .args([&app.db.url, "-Atc", "select * from api_keys; select * from api_key_directory"])
        .output()
        .unwrap();

    let text = String::from_utf8(dump.stdout).unwrap();
    assert!(text.contains(public_part(&key)));
    assert!(!text.contains(&key[19..51]));
}

#[actix_web::test]
async fn invalid_name_is_explained_and_kept() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for name in ["", "   ", &"n".repeat(65), "a\u{0}b", "a\nb", "a\u{202e}b", "a\u{200b}b"] {
        let reply = ada.post(INDEX, &[("name", name)]).await;

        assert_eq!(reply.status, 422, "{name:?}");
        assert!(!reply.html().text("#key-name-hint .wrong").is_empty());
    }
    let too_long = ada.post(INDEX, &[("name", &"n".repeat(65))]).await;
    assert_eq!(too_long.html().attribute("#key-name", "value"), "n".repeat(65));
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "0");
}

#[actix_web::test]
async fn markup_in_a_name_is_shown_as_text() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let name = r#"<script>alert(1)</script>"'&"#;

    ada.generate(name).await;

    let page = ada.get(INDEX).await;
    assert_eq!(page.html().texts("tbody th"), [name]);
    assert!(!page.body.contains("<script>alert"));
}

#[actix_web::test]
async fn name_can_be_reused_after_deletion() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;

    let taken = ada.post(INDEX, &[("name", " laptop ")]).await;
    ada.post(&delete_path(&key), &[]).await.assert_sent_to(INDEX);

    assert_eq!(taken.status, 422);
    assert!(taken.html().text("#key-name-hint").contains("with this name already exists"));
    ada.generate("laptop").await;
}

#[actix_web::test]
async fn clients_can_use_the_same_name() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);

    ada.generate("laptop").await;
    eve.generate("laptop").await;
}

#[actix_web::test]
async fn form_submitted_many_times_creates_one_key() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let nonce = read_form_nonce(&ada).await;
    let fields = [("name", "laptop"), ("formNonce", nonce.as_str())];

    let replies = join_all((0..20).map(|_| ada.post(INDEX, &fields))).await;

    let shown = replies.iter().filter(|reply| reply.html().texts("[data-whole-key-text]").len() == 1);
    assert_eq!(shown.count(), 1);
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(replies.iter().filter(|reply| reply.body.contains("has already created a key")).count(), 19);
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "1");
}

#[actix_web::test]
async fn client_has_at_most_500_live_keys() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.db.execute(
        "insert into api_keys (client_id, public_key, name, secret_hash) \
         select client_id, 'uptok_' || lpad(n::text, 12, '0'), 'key ' || n, decode(repeat('00', 32), 'hex') \
         from clients, generate_series(1, 499) n",
    );

    let names: Vec<String> = (0..10).map(|index| format!("new {index}")).collect();
    let replies = join_all(names.iter().map(async |name| ada.post(INDEX, &[("name", name.as_str())]).await))
        .await
        .iter()
        .map(|reply| reply.status.as_u16())
        .collect::<Vec<_>>();

    assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1, "{replies:?}");
    assert_eq!(replies.iter().filter(|status| **status == 422).count(), 9);
}

#[actix_web::test]
async fn deletion_is_confirmed_and_explains_its_effect() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;

    let confirmation = ada.get(&delete_path(&key)).await;

    assert_eq!(confirmation.html().texts("form[action$=delete] button"), ["Delete"]);
    assert!(confirmation.html().text(".page-head").contains("will fail immediately"));
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    ada.post(&delete_path(&key), &[]).await.assert_sent_to(INDEX);
    let list = ada.get(INDEX).await.html();
    assert!(list.text("[role=status]").contains("“laptop” was deleted"));
    assert_eq!(list.texts("tbody tr").len(), 0);
    assert!(ada.get(INDEX).await.html().texts("[role=status]").is_empty(), "a message is shown once");
}

#[actix_web::test]
async fn deleted_key_is_refused_and_its_hash_is_removed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;

    ada.post(&delete_path(&key), &[]).await;

    app.export(&[("clientKey", &key)]).await.assert_problem(401, "invalid_key");
    assert_eq!(app.db.query_text("select (secret_hash is null)::text as answer from api_keys"), "true");
}

#[actix_web::test]
async fn concurrent_and_repeated_deletions_succeed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let path = delete_path(&key);

    let replies = join_all((0..20).map(|_| ada.post(&path, &[]))).await;

    assert!(replies.iter().all(|reply| reply.status == 303));
    ada.post(&path, &[]).await.assert_sent_to(INDEX);
    assert!(ada.get(INDEX).await.html().text("[role=status]").contains("had already been deleted"));
    assert_eq!(ada.get(&path).await.status, 404);
}

#[actix_web::test]
async fn replacement_creates_a_key_with_the_same_name_and_ends_the_old_one() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let old = ada.generate("laptop").await;
    let confirmation = ada.get(&replacement_path(&old)).await.html();
    let nonce = confirmation.attribute("input[name=formNonce]", "value");

    let reply = ada.post(&replacement_path(&old), &[("formNonce", nonce.as_str())]).await;

    let new = reply.html().text("[data-whole-key-text]");
    assert!(reply.html().cell("laptop", "Public Key").contains(&new));
    assert_ne!(public_part(&new), public_part(&old));
    assert_eq!(app.export(&[("clientKey", &new)]).await.status, 200);
    assert_eq!(app.export(&[("clientKey", &old)]).await.status, 401);
    let again = ada.post(&replacement_path(&old), &[("formNonce", nonce.as_str())]).await;
    assert!(again.body.contains("has already created a key"));
    assert_eq!(ada.post(&replacement_path(&old), &[]).await.status, 409);
}

#[actix_web::test]
async fn only_one_of_many_concurrent_replacements_succeeds() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let path = replacement_path(&ada.generate("laptop").await);

    let replies = join_all((0..20).map(|_| ada.post(&path, &[]))).await;

    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == 409).count(), 19);
}

#[actix_web::test]
async fn other_clients_get_not_found_for_any_id() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let key = ada.generate("laptop").await;
    let unknown = "uptok_000000000000";
    for id in [public_part(&key), unknown, "uptok_", "1", "uptok_00000000000é", "%00", "' or 1=1"] {
        for action in ["", "/delete", "/replacement"] {
            let path = format!("{INDEX}/{id}{action}");
            assert_eq!(eve.get(&path).await.status, 404, "GET {path}");
            assert_eq!(eve.post(&path, &[]).await.status, 404, "POST {path}");
        }
    }
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    assert_eq!(eve.get(INDEX).await.html().texts("tbody tr").len(), 0);
}

#[actix_web::test]
async fn member_can_view_keys_but_not_change_them() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("update memberships set role = 'member'");

    let page = ada.get(INDEX).await.html();

    assert_eq!(page.texts("tbody th"), ["laptop"]);
    assert!(page.texts("form.generate").is_empty() && page.texts("tbody .actions").is_empty());
    assert_eq!(ada.post(INDEX, &[("name", "mine")]).await.status, 403);
    assert_eq!(ada.post(&delete_path(&key), &[]).await.status, 403);
    assert_eq!(ada.post(&replacement_path(&key), &[]).await.status, 403);
    assert_eq!(ada.post(&key_path(&key), &[("requestsPerMinute", "1")]).await.status, 403);
    assert_eq!(ada.post(&format!("{INDEX}/delete"), &[("keys", public_part(&key))]).await.status, 403);
    let shown = ada.get(&key_path(&key)).await.html();
    assert!(shown.text("h1").starts_with("laptop") && shown.texts("main form").is_empty());
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
}

#[actix_web::test]
async fn form_for_another_client_is_refused() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let fields = [("name", "laptop"), ("clientId", "cl_0000000000")];

    assert_eq!(ada.post(INDEX, &fields).await.status, 409);
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "0");
}

#[actix_web::test]
async fn key_outlives_the_user_who_created_it() {
    let app = TestApp::start().await;
    let key = app.sign_up("ada").await.generate("laptop").await;

    app.db.execute("delete from users");

    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
}

#[actix_web::test]
async fn reading_pages_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;

    for path in [delete_path(&key), replacement_path(&key), "/logout".to_owned()] {
        ada.get(&path).await;
        ada.request(Method::HEAD, &path).send().await.unwrap();
    }

    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    assert_eq!(ada.get(INDEX).await.status, 200);
}
