//! The page of one session.

use crate::support::{TestApp, html::Html};

fn fact(page: &Html, name: &str) -> String {
    let (names, texts) = (page.texts(".facts dt"), page.texts(".facts dd"));
    texts[names.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name} in {names:?}"))]
        .clone()
}

#[actix_web::test]
async fn heading_says_what_the_session_was_and_with_whom() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 1);
    let path = ada.get("/sessions").await.html().attribute(".table tbody th a", "href");
    for (status, channel, shopper, heading) in [
        (
            "missed",
            "audio",
            "shopper_name = 'Luca Moretti', shopper_id = 'S-7'",
            "Missed audio call · Luca Moretti",
        ),
        ("completed", "video", "shopper_name = null", "Completed video call · S-7"),
        ("abandoned", "chat", "shopper_id = null, erased_at = now()", "Abandoned chat"),
    ] {
        app.db.change_sessions(&format!(
            "update sessions set status = '{status}', channel = '{channel}', {shopper}"
        ));
        assert_eq!(ada.get(&path).await.html().text("h1"), heading);
    }
}

#[actix_web::test]
async fn previous_and_next_stay_in_the_list() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 9);
    app.db.change_sessions("update sessions set notes = 'grey sofa' where sequence in (2, 5, 6)");
    // The newest session comes first, so every third one was missed: 7, 4 and 1.
    for (query, sequences) in [
        ("", vec![9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("?status=missed", vec![7, 4, 1]),
        ("?q=sofa", vec![6, 5, 2]),
        ("?q=sofa&back=5", vec![5, 2]),
    ] {
        let list = ada.get(&format!("/sessions{query}")).await.html();
        let mut path = list.attribute(".table tbody th a", "href");
        assert!(path.ends_with(query), "{path}");
        let mut visited = Vec::new();
        let last = loop {
            let page = ada.get(&path).await.html();
            visited.push(fact(&page, "Sequence").parse::<i64>().unwrap());
            assert_eq!(page.attribute(".session-nav a", "href"), format!("/sessions{query}"));
            if page.texts("a[rel=next]").is_empty() {
                break page;
            }
            path = page.attribute("a[rel=next]", "href");
        };
        let back = ada.get(&last.attribute("a[rel=prev]", "href")).await.html();

        assert_eq!(visited, sequences, "{query}");
        assert_eq!(fact(&back, "Sequence"), sequences[sequences.len() - 2].to_string(), "{query}");
    }
}

#[actix_web::test]
async fn agent_links_to_all_their_sessions() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 3);
    app.db.change_sessions("update sessions set agent_name = 'Ada & Co' where sequence > 1");
    let path = ada.get("/sessions").await.html().attribute(".table tbody th a", "href");

    let page = ada.get(&path).await.html();
    let list = ada.get(&page.attribute("a.same-sessions", "href")).await.html();

    assert_eq!(page.text("a.same-sessions"), "All sessions with this agent");
    assert_eq!(
        (list.texts(".table tbody tr").len(), list.texts(".chip")),
        (2, vec!["Remove Agent: Ada & Co".to_owned()])
    );
}
