//! The demo client, for evaluation and screenshots. Its sessions are always the same except for their dates.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use diesel::{Connection as _, PgConnection};

use crate::{
    accounts::{self, NewPassword, NewUser, PasswordHasher},
    audit::AuditContext,
    ids::ClientId,
    random,
    sessions::{IncomingSession, SessionRecord, record_all},
};

const SESSIONS: u32 = 240;
const EMAIL: &str = "demo@example.org";

/// The sign-in of a newly created demo user.
#[derive(Debug)]
pub struct DemoLogin {
    pub email: &'static str,
    /// Shown once: only its hash is stored.
    pub password: String,
    pub client: ClientId,
}

/// Creates the demo client, its owner and its sessions in one transaction. Returns `None` if there is any user already.
///
/// # Errors
/// If the database fails.
pub fn create_demo_account(
    connection: &mut PgConnection,
    context: &AuditContext,
    now: DateTime<Utc>,
) -> anyhow::Result<Option<DemoLogin>> {
    let password = random::alphanumeric(20);
    let new_password = NewPassword::parse(&password, &[])?;
    let password_hash = PasswordHasher::hash_now(&new_password)?;
    let user = NewUser { email: parse(EMAIL)?, name: parse("Demo User")?, password_hash };
    let company = parse("Demo Store")?;
    // Whole seconds are easier to read in screenshots.
    let now = now.duration_trunc(TimeDelta::seconds(1))?;
    let records = (0..SESSIONS).map(|index| build_session(now, index)).collect::<Result<Vec<_>, _>>()?;
    let client = connection.transaction(|connection| {
        let Some(client) = accounts::create_first(connection, context, &user, &company)? else {
            return Ok(None);
        };
        record_all(connection, &client, &records).map(|_outcomes| Some(client))
    });
    Ok(client.map_err(|error: diesel::result::Error| error)?.map(|client| DemoLogin {
        email: EMAIL,
        password,
        client,
    }))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> anyhow::Result<T> {
    text.parse().map_err(|error: T::Err| anyhow::anyhow!("{text}: {error}"))
}

const AGENTS: [&str; 5] = ["Amélie Laurent", "Jonas Weber", "Priya Nair", "Sofia Rossi", "Tom Becker"];
const QUEUES: [&str; 4] = ["Sofas", "Kitchens", "Lighting", "Returns"];
const SHOPPERS: [(&str, &str); 8] = [
    ("Nora Lindqvist", "SE"),
    ("Luca Moretti", "IT"),
    ("Hannah Schulz", "DE"),
    ("Chloé Dubois", "FR"),
    ("Mateo García", "ES"),
    ("Ewa Kowalska", "PL"),
    ("Oliver Smith", "GB"),
    ("Anna de Vries", "NL"),
];

fn pick<T>(values: &[T], index: u32) -> &T {
    &values[usize::try_from(index).unwrap_or(0) % values.len()]
}

/// Returns the session `index`, where 0 is the oldest. Sessions are about three hours apart, and the last one is at most
/// three hours old.
fn build_session(now: DateTime<Utc>, index: u32) -> anyhow::Result<IncomingSession> {
    let pseudo_random =
        |limit: u32, salt: u32| (index.wrapping_mul(2_654_435_761) ^ salt.wrapping_mul(40_503)) / 7 % limit;
    let created_at = now - TimeDelta::hours(i64::from(3 * (SESSIONS - index)))
        + TimeDelta::seconds(pseudo_random(7000, 1).into());
    let wait = i64::from(3 + pseudo_random(90, 2));
    let duration = i64::from(60 + pseudo_random(1500, 3));
    let status = *pick(
        &["completed", "completed", "completed", "completed", "missed", "abandoned", "declined"],
        pseudo_random(7, 4),
    );
    let is_answered = status == "completed";
    let has_bought = is_answered && pseudo_random(3, 5) == 0;
    let (shopper, country) = pick(&SHOPPERS, pseudo_random(8, 6));
    let started_at = created_at + TimeDelta::seconds(wait);
    let ended_at = if is_answered { started_at + TimeDelta::seconds(duration) } else { started_at };
    let time = |instant: DateTime<Utc>| crate::web::format::time::rfc3339(instant);
    let only_if = |condition: bool, text: String| if condition { text } else { String::new() };
    let fields = [
        ("externalId", format!("demo-{index:04}")),
        ("status", status.to_owned()),
        ("channel", (*pick(&["video", "video", "audio", "chat"], pseudo_random(4, 7))).to_owned()),
        ("source", (*pick(&["widget", "link", "qr"], pseudo_random(3, 8))).to_owned()),
        ("queueName", (*pick(&QUEUES, pseudo_random(4, 9))).to_owned()),
        ("agentName", only_if(is_answered, (*pick(&AGENTS, pseudo_random(5, 10))).to_owned())),
        ("shopperId", format!("shopper-{}", pseudo_random(900, 6) + 100)),
        ("shopperName", (*shopper).to_owned()),
        ("shopperCountry", (*country).to_owned()),
        ("createdAt", time(created_at)),
        ("startedAt", only_if(is_answered, time(started_at))),
        ("endedAt", time(ended_at)),
        ("waitSeconds", wait.to_string()),
        ("durationSeconds", only_if(is_answered, duration.to_string())),
        ("wrapUpSeconds", only_if(is_answered, (5 + pseudo_random(120, 15)).to_string())),
        ("rating", only_if(is_answered && pseudo_random(2, 11) == 0, (3 + pseudo_random(3, 12)).to_string())),
        ("orderId", only_if(has_bought, format!("A-{}", 10_000 + index))),
        ("orderValueMinor", only_if(has_bought, (4_900 + pseudo_random(90_000, 13)).to_string())),
        ("currency", only_if(has_bought, "EUR".to_owned())),
        ("tags", only_if(pseudo_random(6, 14) == 0, "vip".to_owned())),
    ];
    let field =
        |name: &str| fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str());
    SessionRecord::parse(now, field).map_err(|errors| anyhow::anyhow!("a demo session is wrong: {errors:?}"))
}
