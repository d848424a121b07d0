//! A log that was emptied as a whole is not one that has not begun.

use uptok::audit::{TamperedRecord, Tampering};

use super::{touch, verdict};
use crate::support::TestApp;

const EMPTY: [&str; 2] = [
    "delete from audit_log",
    "update audit_heads set sequence = 0, hash = decode(repeat('00', 32), 'hex'), seal = decode(repeat('00', 32), 'hex')",
];

#[actix_web::test]
async fn an_emptied_log_is_found_also_when_it_goes_on() {
    let app = TestApp::start().await;
    let client = app.signed_up("ada").await.client_id().await.parse().unwrap();
    let before = verdict(&app.db, &client);
    assert!(before.is_ok());

    for statement in EMPTY {
        touch(&app.db, statement);
    }
    assert_eq!(verdict(&app.db, &client), Err(TamperedRecord { sequence: 1, fault: Tampering::Cut }));

    app.logged_in("ada").await;
    assert_eq!(verdict(&app.db, &client), Err(TamperedRecord { sequence: 1, fault: Tampering::NotFirst }));
}

#[actix_web::test]
async fn a_log_without_its_head_is_found() {
    let app = TestApp::start().await;
    let client = app.signed_up("ada").await.client_id().await.parse().unwrap();
    for statement in ["delete from audit_log", "delete from audit_heads"] {
        touch(&app.db, statement);
    }
    assert_eq!(verdict(&app.db, &client), Err(TamperedRecord { sequence: 1, fault: Tampering::Cut }));
}
