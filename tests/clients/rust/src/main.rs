use std::{env, error::Error};

use openapi::{
    apis::{
        Error as ApiError,
        configuration::Configuration,
        keys_api::{change_key, create_key, get_key, revoke_key},
        sessions_api::{download_sessions_csv, export_sessions, list_sessions, record_sessions},
    },
    models::{ChangeKeyRequest, Channel, CreateKeyRequest, Scope, Session, SessionStatus, SessionToRecord},
};

fn body() -> Vec<SessionToRecord> {
    let amounts = [Some(4990), Some(9_007_199_254_740_991), None, Some(-3_000_000_000)];
    let session = |(index, amount)| {
        let status = if index % 2 == 1 { SessionStatus::Missed } else { SessionStatus::Completed };
        let created = format!("2026-10-01T10:00:00.00000{index}Z").parse().unwrap();
        let ended = "2026-10-01T10:05:00Z".parse().unwrap();
        let mut session = SessionToRecord::new(Channel::Video, created, ended, status);
        // The outer `Option` says whether the field is sent, the inner one whether it is null.
        session.external_id = Some(Some(format!("call-{index}")));
        session.order_value_minor = Some(amount);
        session
    };
    amounts.into_iter().enumerate().map(session).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Configuration {
        base_path: env::var("UPTOK_URL")?,
        bearer_access_token: Some(env::var("UPTOK_API_KEY")?),
        ..Configuration::default()
    };
    let recorded = record_sessions(&client, body(), None, Some("rust")).await?;
    assert_eq!(recorded.created, 4);

    let (mut found, mut cursor) = (Vec::<Session>::new(), None::<String>);
    loop {
        let next = cursor.as_deref();
        let page =
            list_sessions(&client, None, Some(3), next, None, None, None, None, None, None, None, None)
                .await?;
        found.extend(page.data);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let (missed, since) = (Some(SessionStatus::Missed), Some(found[0].updated_at));
    let missed =
        list_sessions(&client, None, None, None, None, None, None, missed, None, None, since, None).await?;
    let (order, status) = (Some("asc"), Some("missed"));
    let form =
        export_sessions(&client, None, None, None, None, None, order, Some(2), Some(3), status, None, None);
    assert_eq!((missed.total_sessions, form.await?.total_sessions), (2, 2));
    // openapi-generator 7.26 converts only JSON and text/plain, so the generated download of a CSV fails.
    let file = download_sessions_csv(&client, None, None, None, None, None, None, None).await;
    assert!(matches!(file, Err(ApiError::Serde(_))));

    let request = CreateKeyRequest::new("generated".into(), vec![Scope::SessionsColonRead]);
    let created = create_key(&client, request).await?;
    let change = ChangeKeyRequest { requests_per_minute: Some(60), ..ChangeKeyRequest::default() };
    change_key(&client, &created.public_key, change).await?;
    revoke_key(&client, Some(&created.client_key)).await?;
    let gone = get_key(&client, &created.public_key).await;
    assert!(matches!(gone, Err(ApiError::ResponseError(answer)) if answer.status == 404));

    let total: i64 = found.iter().filter_map(|it| it.order_value_minor).sum();
    let nulls = found.iter().filter(|it| it.order_value_minor.is_none()).count();
    println!("{} {total} {nulls} {}", found.len(), found[1].created_at.timestamp_subsec_micros());
    Ok(())
}
