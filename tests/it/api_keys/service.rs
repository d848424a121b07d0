//! Below the pages: what the page, the API and the command line share.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::PgConnection;
use uptok::{
    accounts,
    api_keys::{
        self, ApiKey, DeletedKey, GracePeriod, KeyActor, KeyChangeError, KeyHasher, KeyLifetime,
        KeyListQuery, KeyRequest, KeyRights, KeySort, KeyStatus, LifetimeError, NewKey, ReplacedKey,
        RequestsPerMinute, Scope,
    },
    audit::Actor,
    ids::{ClientId, PublicKey},
    secret::InstallationSecret,
};

use crate::support::{TestApp, TestDb};

/// A client, and who changes its keys.
struct Desk {
    db: TestDb,
    connection: PgConnection,
    manager: KeyActor,
}

impl Desk {
    fn new() -> Self {
        let db = TestDb::new();
        let mut connection = db.connect();
        let client = client(&mut connection, "ada");
        Self { db, connection, manager: KeyActor { client, context: TestApp::trail() } }
    }

    fn new_key(&self) -> NewKey {
        let hasher = KeyHasher::new(&InstallationSecret::new("x".repeat(32).into()));
        NewKey::generate(&hasher, &self.manager.client, None).unwrap().1
    }

    fn create(
        &mut self,
        name: &str,
        lifetime: KeyLifetime,
        rights: &KeyRights,
    ) -> Result<ApiKey, KeyChangeError> {
        let plan = KeyRequest { name: name.parse().unwrap(), lifetime, rights: rights.clone() };
        let key = self.new_key();
        api_keys::create(&mut self.connection, &self.manager, &plan, &key)
    }

    fn replace(&mut self, old: &ApiKey, grace: GracePeriod) -> Result<ReplacedKey, KeyChangeError> {
        let key = self.new_key();
        api_keys::replace(&mut self.connection, &self.manager, &public(old), grace, &key)
    }

    fn delete(&mut self, key: &ApiKey) -> Result<DeletedKey, KeyChangeError> {
        api_keys::delete(&mut self.connection, &self.manager, &public(key))
    }

    fn find(&mut self, key: &ApiKey) -> ApiKey {
        api_keys::find(&mut self.connection, &self.manager.client, &public(key)).unwrap()
    }

    fn names(&mut self, query: &KeyListQuery) -> Vec<String> {
        let page = api_keys::list(&mut self.connection, &self.manager.client, query).unwrap();
        page.keys.into_iter().map(|key| key.name).collect()
    }

    /// Lets a key end this long from now, less than nothing for before.
    fn end_in(&self, key: &ApiKey, seconds: i32) {
        self.db.execute(&format!(
            "update api_keys set expires_at = now() + interval '{seconds} seconds' where public_key = '{}'",
            key.public_key
        ));
    }

    /// Makes a key older by so many days.
    fn age(&self, key: &ApiKey, days: u32) {
        self.db.execute(&format!(
            "update api_keys set created_at = created_at - interval '{days} days', \
             expires_at = expires_at - interval '{days} days' where public_key = '{}'",
            key.public_key
        ));
    }

    /// From now on this key acts.
    fn act_as(&mut self, key: &ApiKey) {
        self.manager.trail = TestApp::trail().by(Actor::Key(public(key)));
    }
}

fn client(connection: &mut PgConnection, name: &str) -> ClientId {
    let user = accounts::NewUser {
        email: format!("{name}@example.org").parse().unwrap(),
        name: name.parse().unwrap(),
        password_hash: "none".to_owned(),
    };
    let trail = TestApp::trail();
    accounts::add_user(connection, &trail, &user, accounts::ClientChoice::Company(&user.name), "owner")
        .unwrap()
}

fn public(key: &ApiKey) -> PublicKey {
    key.public_key.parse().unwrap()
}

fn rights(scopes: &[Scope], limit: &str, networks: &str) -> KeyRights {
    KeyRights {
        scopes: scopes.to_vec(),
        requests_per_minute: limit.parse().unwrap(),
        networks: networks.parse().unwrap(),
    }
}

fn fields(error: &KeyChangeError) -> Option<&'static str> {
    error.field().map(|(field, _)| field)
}

#[test]
fn a_key_has_the_rights_and_the_end_that_were_asked_for() {
    let mut desk = Desk::new();
    let wanted = rights(&[Scope::SessionsWrite, Scope::KeysManage], "7", "203.0.113.0/24\n2001:db8::1");

    let key = desk.create("till", "30".parse().unwrap(), &wanted).unwrap();

    let sorted = rights(&[Scope::SessionsWrite, Scope::KeysManage], "7", "203.0.113.0/24\n2001:db8::1");
    assert_eq!(key.rights(), sorted);
    assert_eq!(key.lifetime(), Some(TimeDelta::days(30)));
    assert_eq!(key.status(), KeyStatus::Active);
    let forever = desk.create("forever", KeyLifetime::Never, &KeyRights::default()).unwrap();
    assert_eq!((forever.expires_at, forever.status()), (None, KeyStatus::Active));
    assert_eq!(forever.rights().requests_per_minute.get(), RequestsPerMinute::DEFAULT);
}

#[test]
fn a_day_ends_at_its_end_by_the_clock_of_the_database() {
    let mut desk = Desk::new();
    let today = desk.db.ask("select (now() at time zone 'UTC')::date::text as answer");
    let yesterday = desk.db.ask("select ((now() at time zone 'UTC')::date - 1)::text as answer");

    let key = desk.create("today", today.parse().unwrap(), &KeyRights::default()).unwrap();
    let error = desk.create("yesterday", yesterday.parse().unwrap(), &KeyRights::default()).unwrap_err();

    let midnight: DateTime<Utc> = format!("{today}T00:00:00Z").parse().unwrap();
    assert_eq!(key.expires_at, Some(midnight + TimeDelta::days(1)));
    assert!(matches!(error, KeyChangeError::Lifetime(LifetimeError::Past)));
    assert_eq!(fields(&error), Some("expiresOn"));
}

#[test]
fn the_status_follows_the_clock_of_the_database_and_the_filter_agrees() {
    let mut desk = Desk::new();
    let key = desk.create("laptop", KeyLifetime::Never, &KeyRights::default()).unwrap();
    let day = 86_400;
    for (seconds, status) in [
        (15 * day, KeyStatus::Active),
        (13 * day, KeyStatus::Expiring),
        (60, KeyStatus::Expiring),
        (-1, KeyStatus::Expired),
    ] {
        desk.end_in(&key, seconds);

        assert_eq!(desk.find(&key).status(), status);
        for filter in KeyStatus::ALL {
            let found = desk.names(&KeyListQuery { status: Some(filter), ..KeyListQuery::default() });
            assert_eq!(found.len(), usize::from(filter == status), "{status:?} among {filter:?}");
        }
        assert_eq!(desk.names(&KeyListQuery::default()), ["laptop"]);
    }
}

#[test]
fn a_replaced_key_lives_for_its_grace_and_no_longer_than_it_would_have() {
    let mut desk = Desk::new();
    let rights = rights(&[Scope::SessionsWrite], "0", "10.0.0.0/8");
    for (grace, own_end, left) in [
        (GracePeriod::Hour, "90", 3600),
        (GracePeriod::Day, "never", 86_400),
        (GracePeriod::Week, "1", 86_400),
    ] {
        let old = desk.create("till", own_end.parse().unwrap(), &rights).unwrap();

        let replaced = desk.replace(&old, grace).unwrap();

        assert_eq!(replaced.old.status(), KeyStatus::Replaced);
        assert!((replaced.old.time_left().unwrap() - TimeDelta::seconds(left)).abs() < TimeDelta::seconds(9));
        assert_eq!(replaced.old.replaced_by.as_deref(), Some(replaced.new.public_key.as_str()));
        assert_eq!((replaced.new.name.as_str(), replaced.new.rights()), ("till", rights.clone()));
        assert_eq!(replaced.new.lifetime(), old.lifetime());
        assert!(
            matches!(desk.replace(&old, grace), Err(KeyChangeError::Replaced(by)) if by == replaced.new.public_key)
        );
        desk.end_in(&old, -1);
        assert_eq!(
            desk.names(&KeyListQuery::default()),
            ["till"],
            "a replaced key that is over is not listed"
        );
        assert_eq!(
            desk.names(&KeyListQuery { status: Some(KeyStatus::Expired), ..KeyListQuery::default() }).len(),
            1
        );
        for key in [&old, &replaced.new] {
            desk.delete(key).unwrap();
        }
    }
}

#[test]
fn without_grace_the_old_key_is_shredded_and_says_what_replaced_it() {
    let mut desk = Desk::new();
    let old = desk.create("till", KeyLifetime::Never, &KeyRights::default()).unwrap();

    let replaced = desk.replace(&old, GracePeriod::None).unwrap();

    assert!(replaced.old.deleted_at.is_some());
    assert_eq!(replaced.old.replaced_by, Some(replaced.new.public_key));
    assert_eq!(desk.db.ask("select count(secret_hash)::text as answer from api_keys"), "1");
    assert!(matches!(desk.replace(&old, GracePeriod::None), Err(KeyChangeError::Gone)));
}

#[test]
fn an_expired_key_keeps_its_name_until_it_is_replaced_or_deleted() {
    let mut desk = Desk::new();
    let old = desk.create("till", "30".parse().unwrap(), &KeyRights::default()).unwrap();
    desk.age(&old, 31);

    let error = desk.create("till", KeyLifetime::Never, &KeyRights::default()).unwrap_err();
    let replaced = desk.replace(&old, GracePeriod::Week).unwrap();

    assert!(matches!(error, KeyChangeError::NameOfExpired));
    assert!(replaced.old.deleted_at.is_some(), "what is over gets no grace");
    assert_eq!(replaced.new.status(), KeyStatus::Active);
    assert!(matches!(
        desk.create("till", KeyLifetime::Never, &KeyRights::default()),
        Err(KeyChangeError::NameTaken)
    ));
}

#[test]
fn the_limit_counts_what_lives() {
    let mut desk = Desk::new();
    let old = desk.create("till", KeyLifetime::Never, &KeyRights::default()).unwrap();
    desk.db.execute(
        "insert into api_keys (client_id, public_key, name, secret_hash, expires_at) \
         select client_id, 'uptok_' || lpad(n::text, 12, '0'), 'key ' || n, decode(repeat('00', 32), 'hex'), \
         case when n > 499 then now() end from clients, generate_series(1, 600) n",
    );

    assert!(matches!(
        desk.create("new", KeyLifetime::Never, &KeyRights::default()),
        Err(KeyChangeError::Full)
    ));
    assert!(matches!(desk.replace(&old, GracePeriod::Hour), Err(KeyChangeError::Full)), "two would live");
    let replaced = desk.replace(&old, GracePeriod::None).unwrap();
    desk.delete(&replaced.new).unwrap();
    desk.create("new", KeyLifetime::Never, &KeyRights::default()).unwrap();
}

#[test]
fn rights_can_be_changed_and_the_rest_stays() {
    let mut desk = Desk::new();
    let key = desk.create("till", "30".parse().unwrap(), &KeyRights::default()).unwrap();
    let wanted = rights(&[Scope::SessionsRead, Scope::SessionsWrite], "0", "::1");

    let changed = api_keys::change(&mut desk.connection, &desk.manager, &public(&key), &wanted).unwrap();

    assert_eq!((changed.before.rights(), changed.after.rights()), (KeyRights::default(), wanted.clone()));
    assert_eq!((changed.after.name, changed.after.expires_at), (key.name.clone(), key.expires_at));
    desk.delete(&key).unwrap();
    let gone = api_keys::change(&mut desk.connection, &desk.manager, &public(&key), &wanted);
    assert!(matches!(gone, Err(KeyChangeError::NotFound)));
}

#[test]
fn a_key_that_acts_gives_no_more_than_it_has() {
    let mut desk = Desk::new();
    let own = rights(&[Scope::KeysManage, Scope::SessionsRead], "60", "10.0.0.0/8");
    let actor = desk.create("manager", "30".parse().unwrap(), &own).unwrap();
    let strong = desk
        .create("strong", "30".parse().unwrap(), &rights(&[Scope::SessionsWrite], "60", "10.0.0.1"))
        .unwrap();
    desk.act_as(&actor);

    for (beyond, field) in [
        (rights(&[Scope::SessionsWrite], "60", "10.0.0.0/8"), "scopes"),
        (rights(&[Scope::SessionsRead], "0", "10.0.0.0/8"), "requestsPerMinute"),
        (rights(&[Scope::SessionsRead], "60", ""), "allowedNetworks"),
    ] {
        let created = desk.create("new", KeyLifetime::default(), &beyond).unwrap_err();
        let changed =
            api_keys::change(&mut desk.connection, &desk.manager, &public(&actor), &beyond).unwrap_err();

        assert_eq!((fields(&created), fields(&changed)), (Some(field), Some(field)));
    }
    assert!(matches!(desk.replace(&strong, GracePeriod::Hour), Err(KeyChangeError::StrongerThanActor)));
    let within = rights(&[Scope::SessionsRead], "1", "10.1.0.0/16");
    for lifetime in [KeyLifetime::Never, KeyLifetime::default()] {
        let refused = desk.create("new", lifetime, &within);
        assert!(matches!(refused, Err(KeyChangeError::OutlivesActor(end)) if Some(end) == actor.expires_at));
    }
    let key = desk.create("new", KeyLifetime::AtMost(90), &within).unwrap();
    assert_eq!(key.expires_at, actor.expires_at, "it does not outlive its maker");
    assert_eq!((key.created_by, key.created_by_key.as_deref()), (None, Some(actor.public_key.as_str())));
    assert!(matches!(desk.delete(&strong), Ok(DeletedKey::Now(_))), "stopping a key gives nothing");
    let by = desk.db.ask("select deleted_by_key as answer from api_keys where deleted_at is not null");
    assert_eq!(by, actor.public_key);
}

#[test]
fn a_key_acts_only_while_it_lives() {
    let mut desk = Desk::new();
    let own = rights(&[Scope::KeysManage, Scope::SessionsRead], "", "");
    let actor = desk.create("manager", KeyLifetime::Never, &own).unwrap();
    let other = desk.create("other", KeyLifetime::Never, &KeyRights::default()).unwrap();
    desk.act_as(&actor);

    desk.end_in(&actor, 0);

    assert!(matches!(desk.create("new", KeyLifetime::Never, &own), Err(KeyChangeError::ActorGone)));
    assert!(matches!(desk.replace(&other, GracePeriod::None), Err(KeyChangeError::ActorGone)));
    assert!(matches!(desk.delete(&other), Err(KeyChangeError::ActorGone)));
    assert_eq!(
        desk.db.ask("select count(*)::text as answer from api_keys where deleted_at is not null"),
        "0"
    );
}

#[test]
fn of_several_keys_all_are_deleted_or_none() {
    let mut desk = Desk::new();
    let keys =
        ["a", "b", "c"].map(|name| desk.create(name, KeyLifetime::Never, &KeyRights::default()).unwrap());
    let stranger = client(&mut desk.connection, "eve");
    let elsewhere = KeyActor { client: stranger, context: TestApp::trail() };
    let all = keys.each_ref().map(public);
    let unknown = [all[0].clone(), "uptok_000000000000".parse().unwrap()];

    for (manager, some) in [(&desk.manager, &unknown[..]), (&elsewhere, &all[..])] {
        let refused = api_keys::delete_all(&mut desk.connection, manager, some);
        assert!(matches!(refused, Err(KeyChangeError::NotFound)));
        assert_eq!(desk.db.ask("select count(secret_hash)::text as answer from api_keys"), "3");
    }
    desk.delete(&keys[1]).unwrap();
    let deleted = api_keys::delete_all(&mut desk.connection, &desk.manager, &all).unwrap();

    assert!(matches!(deleted[..], [DeletedKey::Now(_), DeletedKey::Before(_), DeletedKey::Now(_)]));
    assert_eq!(desk.db.ask("select count(secret_hash)::text as answer from api_keys"), "0");
}

#[test]
fn keys_are_searched_sorted_and_paged() {
    let mut desk = Desk::new();
    for (name, lifetime) in [("Beta", "30"), ("alpha", "never"), ("100 % sure", "90"), ("under_score", "1")] {
        desk.create(name, lifetime.parse().unwrap(), &KeyRights::default()).unwrap();
    }
    let beta = desk.create("gamma", KeyLifetime::Never, &KeyRights::default()).unwrap();
    let sorted = |sort: KeySort| KeyListQuery { sort, ..KeyListQuery::default() };
    let found = |search: &str| KeyListQuery {
        search: search.to_owned(),
        sort: KeySort::Name,
        ..KeyListQuery::default()
    };

    assert_eq!(desk.names(&sorted(KeySort::Newest))[0], "gamma");
    assert_eq!(desk.names(&sorted(KeySort::Oldest))[0], "Beta");
    assert_eq!(desk.names(&sorted(KeySort::Name)), ["100 % sure", "alpha", "Beta", "gamma", "under_score"]);
    assert_eq!(desk.names(&sorted(KeySort::Expiry))[..3], ["under_score", "Beta", "100 % sure"]);
    assert_eq!(desk.names(&found("ALPHA")), ["alpha"]);
    assert_eq!(desk.names(&found(&beta.public_key)), ["gamma"]);
    assert_eq!(desk.names(&found("%")), ["100 % sure"]);
    assert_eq!(desk.names(&found("r_s")), ["under_score"]);
    assert_eq!(desk.names(&found("\\")), [""; 0]);
    let second = KeyListQuery { page: 2, per_page: 2, ..sorted(KeySort::Name) };
    let page = api_keys::list(&mut desk.connection, &desk.manager.client, &second).unwrap();
    assert_eq!((page.total, page.page, page.keys.len()), (5, 2, 2));
    assert_eq!(page.keys[0].name, "Beta");
    let beyond = KeyListQuery { page: 9, ..second };
    let page = api_keys::list(&mut desk.connection, &desk.manager.client, &beyond).unwrap();
    assert_eq!((page.total, page.page, page.keys[0].name.as_str()), (5, 1, "100 % sure"));
}
