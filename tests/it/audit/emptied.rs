//! An emptied log is not mistaken for one that has no records yet.

use uptok::audit::{TamperedRecord, Tampering};

use super::{tamper, verify};
use crate::support::TestApp;

const EMPTY_THE_LOG: [&str; 2] = [
    "delete from audit_log",
    "update audit_heads set sequence = 0, hash = decode(repeat('00', 32), 'hex'), seal = decode(repeat('00', 32), 'hex')",
];

#[actix_web::test]
async fn emptied_log_is_detected_before_and_after_new_records() {
    let app = TestApp::start().await;
    let client = app.sign_up("ada").await.client_id().await.parse().unwrap();
    let before = verify(&app.db, &client);
    assert!(before.is_ok());

    for statement in EMPTY_THE_LOG {
        tamper(&app.db, statement);
    }
    assert_eq!(verify(&app.db, &client), Err(TamperedRecord { sequence: 1, fault: Tampering::Cut }));

    app.log_in("ada").await;
    assert_eq!(verify(&app.db, &client), Err(TamperedRecord { sequence: 1, fault: Tampering::NotFirst }));
}

#[actix_web::test]
async fn log_without_its_head_is_detected() {
    let app = TestApp::start().await;
    let client = app.sign_up("ada").await.client_id().await.parse().unwrap();
    for statement in ["delete from audit_log", "delete from audit_heads"] {
        tamper(&app.db, statement);
    }
    assert_eq!(verify(&app.db, &client), Err(TamperedRecord { sequence: 1, fault: Tampering::Cut }));
}
