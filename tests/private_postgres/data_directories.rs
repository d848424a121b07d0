//! Data directories with unusual paths, owners and permissions.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
};

use nix::unistd::geteuid;
use uptok::private_postgres::PrivatePostgres;

use super::support::{DataDir, psql, socket_directory};

#[test]
fn a_data_directory_with_a_long_path_works() {
    let data_dir = DataDir::with_name(&"a-long-name/".repeat(20));

    let postgres = data_dir.start().unwrap();

    assert_eq!(psql(postgres.url(), "select 1").unwrap(), "1");
    let socket_directory = socket_directory(postgres.url());
    assert_eq!(socket_directory.metadata().unwrap().mode() & 0o777, 0o700);
    postgres.stop().unwrap();
    assert!(!socket_directory.exists(), "the socket directory in /tmp should be removed");
}

#[test]
fn a_data_directory_with_spaces_and_quotes_works() {
    let data_dir = DataDir::with_name("Ada's \"data\" $HOME `id`");

    let postgres = data_dir.start().unwrap();

    assert_eq!(psql(postgres.url(), "select 1").unwrap(), "1");
    assert_eq!(PrivatePostgres::find_url(&data_dir.path).unwrap(), postgres.url());
}

#[test]
fn a_symlink_as_socket_directory_is_refused() {
    let data_dir = DataDir::with_name("with space");
    data_dir.start().unwrap().stop().unwrap();
    let socket_directory = socket_directory(&PrivatePostgres::find_url(&data_dir.path).unwrap());
    symlink(&data_dir.root, &socket_directory).unwrap();

    let error = data_dir.start().unwrap_err().to_string();

    fs::remove_file(&socket_directory).unwrap();
    assert!(error.contains("is not a private directory"), "{error}");
}

#[test]
fn root_uses_the_fallback_directory_if_the_data_directory_is_private() {
    let data_dir = DataDir::private();

    let postgres = data_dir.start().unwrap();

    assert_eq!(psql(postgres.url(), "select 1").unwrap(), "1");
    let link_target = data_dir.cluster().read_link().ok();
    assert_eq!(link_target.is_some(), geteuid().is_root(), "{link_target:?}");
    assert!(link_target.is_none_or(|path| path.starts_with("/var/lib/uptok")));
}

#[test]
fn an_accessible_data_directory_contains_a_cluster_that_root_does_not_own() {
    let data_dir = DataDir::new();

    let _postgres = data_dir.start().unwrap();

    let cluster = data_dir.cluster().symlink_metadata().unwrap();
    assert!(cluster.is_dir());
    assert_ne!(cluster.uid(), 0);
}

#[test]
fn url_of_requires_an_existing_database() {
    let data_dir = DataDir::new();

    let before = PrivatePostgres::find_url(&data_dir.path).unwrap_err().to_string();
    let postgres = data_dir.start().unwrap();
    let after = PrivatePostgres::find_url(&data_dir.path).unwrap();

    assert!(before.starts_with("There is no database in "), "{before}");
    assert_eq!(after, postgres.url());
}
