//! The key service that the pages, the API and the command line share.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::PgConnection;
use uptok::{
    accounts,
    api_keys::{
        self, ApiKey, GracePeriod, HashedKey, KeyChangeActor, KeyChangeError, KeyDeletion, KeyHasher,
        KeyLifetime, KeyListQuery, KeyReplacement, KeyRights, KeySort, KeySpec, KeyStatus, LifetimeError,
        RequestsPerMinute, Scope,
    },
    audit::Actor,
    ids::{ClientId, PublicKey},
    secret::InstallationSecret,
};

use crate::support::{TestApp, TestDb};

/// A client and the actor that changes its keys.
struct KeyFixture {
    db: TestDb,
    connection: PgConnection,
    actor: KeyChangeActor,
}

impl KeyFixture {
    fn new() -> Self {
        let db = TestDb::new();
        let mut connection = db.connect();
        let client = create_client(&mut connection, "ada");
        Self { db, connection, actor: KeyChangeActor { client, context: TestApp::audit_context() } }
    }

    fn generate_key(&self) -> HashedKey {
        let hasher = KeyHasher::new(&InstallationSecret::new("x".repeat(32).into()));
        HashedKey::generate(&hasher, &self.actor.client, None).1
    }

    fn create(
        &mut self,
        name: &str,
        lifetime: KeyLifetime,
        rights: &KeyRights,
    ) -> Result<ApiKey, KeyChangeError> {
        let request = KeySpec { name: name.parse().unwrap(), lifetime, rights: rights.clone() };
        let key = self.generate_key();
        api_keys::create(&mut self.connection, &self.actor, &request, &key)
    }

    fn replace(&mut self, old: &ApiKey, grace: GracePeriod) -> Result<KeyReplacement, KeyChangeError> {
        let key = self.generate_key();
        api_keys::replace(&mut self.connection, &self.actor, &public_key(old), grace, &key)
    }

    fn delete(&mut self, key: &ApiKey) -> Result<KeyDeletion, KeyChangeError> {
        api_keys::delete(&mut self.connection, &self.actor, &public_key(key))
    }

    fn find(&mut self, key: &ApiKey) -> ApiKey {
        api_keys::find(&mut self.connection, &self.actor.client, &public_key(key)).unwrap()
    }

    fn list_names(&mut self, query: &KeyListQuery) -> Vec<String> {
        let page = api_keys::list(&mut self.connection, &self.actor.client, query).unwrap();
        page.keys.into_iter().map(|key| key.name.to_string()).collect()
    }

    /// Makes a key end `seconds` from now; negative values are in the past.
    fn set_end(&self, key: &ApiKey, seconds: i32) {
        self.db.execute(&format!(
            "update api_keys set expires_at = now() + interval '{seconds} seconds' where public_key = '{}'",
            key.public_key
        ));
    }

    /// Moves the creation and the end of a key `days` into the past.
    fn age(&self, key: &ApiKey, days: u32) {
        self.db.execute(&format!(
            "update api_keys set created_at = (created_at at time zone 'UTC' - interval '{days} days') at time zone 'UTC', \
             expires_at = (expires_at at time zone 'UTC' - interval '{days} days') at time zone 'UTC' \
             where public_key = '{}'",
            key.public_key
        ));
    }

    /// Makes `key` the actor of the following changes.
    fn act_as(&mut self, key: &ApiKey) {
        self.actor.context = TestApp::audit_context().by(Actor::Key(public_key(key)));
    }
}

fn create_client(connection: &mut PgConnection, name: &str) -> ClientId {
    let user = accounts::NewUser {
        email: format!("{name}@example.org").parse().unwrap(),
        name: name.parse().unwrap(),
        password_hash: "none".to_owned(),
    };
    let context = TestApp::audit_context();
    accounts::add_user(
        connection,
        &context,
        &user,
        accounts::ClientToJoin::Company(&user.name),
        accounts::Role::Owner,
    )
    .unwrap()
}

fn public_key(key: &ApiKey) -> PublicKey {
    key.public_key.clone()
}

fn build_rights(scopes: &[Scope], limit: &str, networks: &str) -> KeyRights {
    KeyRights {
        scopes: scopes.to_vec(),
        requests_per_minute: limit.parse().unwrap(),
        networks: networks.parse().unwrap(),
    }
}

fn field_of(error: &KeyChangeError) -> Option<&'static str> {
    error.field().map(|(field, _)| field)
}

#[test]
fn key_has_the_requested_rights_and_lifetime() {
    let mut fixture = KeyFixture::new();
    let requested =
        build_rights(&[Scope::SessionsWrite, Scope::KeysManage], "7", "203.0.113.0/24\n2001:db8::1");

    let key = fixture.create("till", "30".parse().unwrap(), &requested).unwrap();

    let expected =
        build_rights(&[Scope::SessionsWrite, Scope::KeysManage], "7", "203.0.113.0/24\n2001:db8::1");
    assert_eq!(key.rights(), expected);
    assert_eq!(key.lifetime(), Some(TimeDelta::days(30)));
    assert_eq!(key.status(), KeyStatus::Active);
    let forever = fixture.create("forever", KeyLifetime::Never, &KeyRights::default()).unwrap();
    assert_eq!((forever.expires_at, forever.status()), (None, KeyStatus::Active));
    assert_eq!(forever.rights().requests_per_minute.get(), RequestsPerMinute::DEFAULT);
}

#[test]
fn date_expires_at_the_end_of_that_day_by_the_database_clock() {
    let mut fixture = KeyFixture::new();
    let today = fixture.db.query_text("select (now() at time zone 'UTC')::date::text as answer");
    let yesterday = fixture.db.query_text("select ((now() at time zone 'UTC')::date - 1)::text as answer");

    let key = fixture.create("today", today.parse().unwrap(), &KeyRights::default()).unwrap();
    let error = fixture.create("yesterday", yesterday.parse().unwrap(), &KeyRights::default()).unwrap_err();

    let midnight: DateTime<Utc> = format!("{today}T00:00:00Z").parse().unwrap();
    assert_eq!(key.expires_at, Some(midnight + TimeDelta::days(1)));
    assert!(matches!(error, KeyChangeError::Lifetime(LifetimeError::Past)));
    assert_eq!(field_of(&error), Some("expiresOn"));
}

#[test]
fn status_and_status_filter_follow_the_database_clock() {
    let mut fixture = KeyFixture::new();
    let key = fixture.create("laptop", KeyLifetime::Never, &KeyRights::default()).unwrap();
    let day = 86_400;
    for (seconds, status) in [
        (15 * day, KeyStatus::Active),
        (13 * day, KeyStatus::Expiring),
        (60, KeyStatus::Expiring),
        (-1, KeyStatus::Expired),
    ] {
        fixture.set_end(&key, seconds);

        assert_eq!(fixture.find(&key).status(), status);
        for filter in KeyStatus::ALL {
            let found = fixture.list_names(&KeyListQuery { status: Some(filter), ..KeyListQuery::default() });
            assert_eq!(found.len(), usize::from(filter == status), "{status:?} among {filter:?}");
        }
        assert_eq!(fixture.list_names(&KeyListQuery::default()), ["laptop"]);
    }
}

#[test]
fn replaced_key_ends_with_its_grace_period_or_its_own_end() {
    let mut fixture = KeyFixture::new();
    let rights = build_rights(&[Scope::SessionsWrite], "0", "10.0.0.0/8");
    for (grace, own_end, left) in [
        (GracePeriod::Hour, "90", 3600),
        (GracePeriod::Day, "never", 86_400),
        (GracePeriod::Week, "1", 86_400),
    ] {
        let old = fixture.create("till", own_end.parse().unwrap(), &rights).unwrap();

        let replaced = fixture.replace(&old, grace).unwrap();

        assert_eq!(replaced.old.status(), KeyStatus::Replaced);
        assert!((replaced.old.time_left().unwrap() - TimeDelta::seconds(left)).abs() < TimeDelta::seconds(9));
        assert_eq!(replaced.old.replaced_by.as_ref(), Some(&replaced.new.public_key));
        assert_eq!((replaced.new.name.as_str(), replaced.new.rights()), ("till", rights.clone()));
        assert_eq!(replaced.new.lifetime(), old.lifetime());
        assert!(
            matches!(fixture.replace(&old, grace), Err(KeyChangeError::Replaced(by)) if by == replaced.new.public_key)
        );
        fixture.set_end(&old, -1);
        assert_eq!(
            fixture.list_names(&KeyListQuery::default()),
            ["till"],
            "a replaced key that is over is not listed"
        );
        assert_eq!(
            fixture
                .list_names(&KeyListQuery { status: Some(KeyStatus::Expired), ..KeyListQuery::default() })
                .len(),
            1
        );
        for key in [&old, &replaced.new] {
            fixture.delete(key).unwrap();
        }
    }
}

#[test]
fn replacement_without_grace_wipes_the_old_key_and_records_its_successor() {
    let mut fixture = KeyFixture::new();
    let old = fixture.create("till", KeyLifetime::Never, &KeyRights::default()).unwrap();

    let replaced = fixture.replace(&old, GracePeriod::None).unwrap();

    assert!(replaced.old.deleted_at.is_some());
    assert_eq!(replaced.old.replaced_by, Some(replaced.new.public_key));
    assert_eq!(fixture.db.query_text("select count(secret_hash)::text as answer from api_keys"), "1");
    assert!(matches!(fixture.replace(&old, GracePeriod::None), Err(KeyChangeError::Gone)));
}

#[test]
fn expired_key_keeps_its_name_until_replaced_or_deleted() {
    let mut fixture = KeyFixture::new();
    let old = fixture.create("till", "30".parse().unwrap(), &KeyRights::default()).unwrap();
    fixture.age(&old, 31);

    let error = fixture.create("till", KeyLifetime::Never, &KeyRights::default()).unwrap_err();
    let replaced = fixture.replace(&old, GracePeriod::Week).unwrap();

    assert!(matches!(error, KeyChangeError::NameOfExpired));
    assert!(replaced.old.deleted_at.is_some(), "what is over gets no grace");
    assert_eq!(replaced.new.status(), KeyStatus::Active);
    assert!(matches!(
        fixture.create("till", KeyLifetime::Never, &KeyRights::default()),
        Err(KeyChangeError::NameTaken)
    ));
}

#[test]
fn only_live_keys_count_towards_the_limit() {
    let mut fixture = KeyFixture::new();
    let old = fixture.create("till", KeyLifetime::Never, &KeyRights::default()).unwrap();
    fixture.db.execute(
        "insert into api_keys (client_id, public_key, name, secret_hash, expires_at) \
         select client_id, 'uptok_' || lpad(n::text, 12, '0'), 'key ' || n, decode(repeat('00', 32), 'hex'), \
         case when n > 499 then now() end from clients, generate_series(1, 600) n",
    );

    assert!(matches!(
        fixture.create("new", KeyLifetime::Never, &KeyRights::default()),
        Err(KeyChangeError::Full)
    ));
    assert!(matches!(fixture.replace(&old, GracePeriod::Hour), Err(KeyChangeError::Full)), "two would live");
    let replaced = fixture.replace(&old, GracePeriod::None).unwrap();
    fixture.delete(&replaced.new).unwrap();
    fixture.create("new", KeyLifetime::Never, &KeyRights::default()).unwrap();
}

#[test]
fn changing_rights_keeps_everything_else() {
    let mut fixture = KeyFixture::new();
    let key = fixture.create("till", "30".parse().unwrap(), &KeyRights::default()).unwrap();
    let wanted = build_rights(&[Scope::SessionsRead, Scope::SessionsWrite], "0", "::1");

    let changed =
        api_keys::change(&mut fixture.connection, &fixture.actor, &public_key(&key), &wanted).unwrap();

    assert_eq!((changed.before.rights(), changed.after.rights()), (KeyRights::default(), wanted.clone()));
    assert_eq!((changed.after.name, changed.after.expires_at), (key.name.clone(), key.expires_at));
    fixture.delete(&key).unwrap();
    let gone = api_keys::change(&mut fixture.connection, &fixture.actor, &public_key(&key), &wanted);
    assert!(matches!(gone, Err(KeyChangeError::NotFound)));
}

#[test]
fn acting_key_cannot_grant_more_than_it_has() {
    let mut fixture = KeyFixture::new();
    let own = build_rights(&[Scope::KeysManage, Scope::SessionsRead], "60", "10.0.0.0/8");
    let actor = fixture.create("manager", "30".parse().unwrap(), &own).unwrap();
    let strong = fixture
        .create("strong", "30".parse().unwrap(), &build_rights(&[Scope::SessionsWrite], "60", "10.0.0.1"))
        .unwrap();
    fixture.act_as(&actor);

    for (beyond, field) in [
        (build_rights(&[Scope::SessionsWrite], "60", "10.0.0.0/8"), "scopes"),
        (build_rights(&[Scope::SessionsRead], "0", "10.0.0.0/8"), "requestsPerMinute"),
        (build_rights(&[Scope::SessionsRead], "60", ""), "allowedNetworks"),
    ] {
        let created = fixture.create("new", KeyLifetime::default(), &beyond).unwrap_err();
        let changed = api_keys::change(&mut fixture.connection, &fixture.actor, &public_key(&actor), &beyond)
            .unwrap_err();

        assert_eq!((field_of(&created), field_of(&changed)), (Some(field), Some(field)));
    }
    assert!(matches!(fixture.replace(&strong, GracePeriod::Hour), Err(KeyChangeError::StrongerThanActor)));
    let within = build_rights(&[Scope::SessionsRead], "1", "10.1.0.0/16");
    for lifetime in [KeyLifetime::Never, KeyLifetime::default()] {
        let refused = fixture.create("new", lifetime, &within);
        assert!(matches!(refused, Err(KeyChangeError::OutlivesActor(end)) if Some(end) == actor.expires_at));
    }
    let key = fixture.create("new", KeyLifetime::AtMost(90), &within).unwrap();
    assert_eq!(key.expires_at, actor.expires_at, "it does not outlive its maker");
    assert_eq!((key.created_by, key.created_by_key.as_ref()), (None, Some(&actor.public_key)));
    assert!(matches!(fixture.delete(&strong), Ok(KeyDeletion::Now(_))), "stopping a key gives nothing");
    let deleted_by =
        fixture.db.query_text("select deleted_by_key as answer from api_keys where deleted_at is not null");
    assert_eq!(deleted_by, actor.public_key.as_str());
}

#[test]
fn expired_key_cannot_act() {
    let mut fixture = KeyFixture::new();
    let own = build_rights(&[Scope::KeysManage, Scope::SessionsRead], "", "");
    let actor = fixture.create("manager", KeyLifetime::Never, &own).unwrap();
    let other = fixture.create("other", KeyLifetime::Never, &KeyRights::default()).unwrap();
    fixture.act_as(&actor);

    fixture.set_end(&actor, 0);

    assert!(matches!(fixture.create("new", KeyLifetime::Never, &own), Err(KeyChangeError::ActorGone)));
    assert!(matches!(fixture.replace(&other, GracePeriod::None), Err(KeyChangeError::ActorGone)));
    assert!(matches!(fixture.delete(&other), Err(KeyChangeError::ActorGone)));
    assert_eq!(
        fixture.db.query_text("select count(*)::text as answer from api_keys where deleted_at is not null"),
        "0"
    );
}

#[test]
fn bulk_deletion_deletes_all_keys_or_none() {
    let mut fixture = KeyFixture::new();
    let keys =
        ["a", "b", "c"].map(|name| fixture.create(name, KeyLifetime::Never, &KeyRights::default()).unwrap());
    let other_client = create_client(&mut fixture.connection, "eve");
    let other_actor = KeyChangeActor { client: other_client, context: TestApp::audit_context() };
    let all = keys.each_ref().map(public_key);
    let unknown = [all[0].clone(), "uptok_000000000000".parse().unwrap()];

    for (actor, some) in [(&fixture.actor, &unknown[..]), (&other_actor, &all[..])] {
        let refused = api_keys::delete_all(&mut fixture.connection, actor, some);
        assert!(matches!(refused, Err(KeyChangeError::NotFound)));
        assert_eq!(fixture.db.query_text("select count(secret_hash)::text as answer from api_keys"), "3");
    }
    fixture.delete(&keys[1]).unwrap();
    let deleted = api_keys::delete_all(&mut fixture.connection, &fixture.actor, &all).unwrap();

    assert!(matches!(deleted[..], [KeyDeletion::Now(_), KeyDeletion::Before(_), KeyDeletion::Now(_)]));
    assert_eq!(fixture.db.query_text("select count(secret_hash)::text as answer from api_keys"), "0");
}

#[test]
fn keys_are_searched_sorted_and_paged() {
    let mut fixture = KeyFixture::new();
    for (name, lifetime) in [("Beta", "30"), ("alpha", "never"), ("100 % sure", "90"), ("under_score", "1")] {
        fixture.create(name, lifetime.parse().unwrap(), &KeyRights::default()).unwrap();
    }
    let gamma = fixture.create("gamma", KeyLifetime::Never, &KeyRights::default()).unwrap();
    let sorted_by = |sort: KeySort| KeyListQuery { sort, ..KeyListQuery::default() };
    let matching = |search: &str| KeyListQuery {
        search: search.to_owned(),
        sort: KeySort::Name,
        ..KeyListQuery::default()
    };

    assert_eq!(fixture.list_names(&sorted_by(KeySort::Newest))[0], "gamma");
    assert_eq!(fixture.list_names(&sorted_by(KeySort::Oldest))[0], "Beta");
    assert_eq!(
        fixture.list_names(&sorted_by(KeySort::Name)),
        ["100 % sure", "alpha", "Beta", "gamma", "under_score"]
    );
    assert_eq!(fixture.list_names(&sorted_by(KeySort::Expiry))[..3], ["under_score", "Beta", "100 % sure"]);
    assert_eq!(fixture.list_names(&matching("ALPHA")), ["alpha"]);
    assert_eq!(fixture.list_names(&matching(gamma.public_key.as_str())), ["gamma"]);
    assert_eq!(fixture.list_names(&matching("%")), ["100 % sure"]);
    assert_eq!(fixture.list_names(&matching("r_s")), ["under_score"]);
    assert_eq!(fixture.list_names(&matching("\\")), [""; 0]);
    let second = KeyListQuery { page: 2, per_page: 2, ..sorted_by(KeySort::Name) };
    let page = api_keys::list(&mut fixture.connection, &fixture.actor.client, &second).unwrap();
    assert_eq!((page.total, page.page, page.keys.len()), (5, 2, 2));
    assert_eq!(page.keys[0].name.as_str(), "Beta");
    let past_the_end = KeyListQuery { page: 9, ..second };
    let page = api_keys::list(&mut fixture.connection, &fixture.actor.client, &past_the_end).unwrap();
    assert_eq!((page.total, page.page, page.keys[0].name.as_str()), (5, 1, "100 % sure"));
}
