//! Files that are not ours to write, or cannot be.

use crate::{Folder, event, payloads};
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::*;
use portolan_sqlite::{OpenError, SqliteStore};
use std::fs;

#[tokio::test]
async fn a_newer_version_is_refused_by_name() {
    let folder = Folder::new();
    drop(folder.store().await);
    folder.other().pragma_update(None, "user_version", 99).unwrap();
    let refused = SqliteStore::open(folder.file()).await.unwrap_err();
    assert!(matches!(refused, OpenError::NewerVersion { found: 99, supported: 5, .. }), "{refused:?}");
    assert!(refused.to_string().contains("99") && refused.to_string().contains("up to 5"), "{refused}");
}

#[tokio::test]
async fn another_applications_database_is_refused_and_left_alone() {
    for application_id in [0, 7] {
        let folder = Folder::new();
        let other = folder.other();
        other.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
        other.pragma_update(None, "application_id", application_id).unwrap();
        drop(other);
        let before = fs::read(folder.file()).unwrap();
        let refused = SqliteStore::open(folder.file()).await.unwrap_err();
        assert!(matches!(refused, OpenError::OtherApplication { .. }), "{refused:?}");
        assert_eq!(fs::read(folder.file()).unwrap(), before);
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let folder = Folder::new();
    fs::write(folder.file(), "a letter to somebody, long enough to have a header of its own".repeat(100)).unwrap();
    let before = fs::read(folder.file()).unwrap();
    let refused = SqliteStore::open(folder.file()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused:?}");
    assert_eq!(fs::read(folder.file()).unwrap(), before);
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = Folder::new();
    let path = folder.path().join("nowhere").join("log.db");
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(&refused, OpenError::NoFolder { folder, .. } if folder.ends_with("nowhere")), "{refused:?}");
    assert!(refused.to_string().contains("there is no folder"), "{refused}");
}

#[tokio::test]
async fn one_file_is_made_once_however_many_open_it() {
    let folder = Folder::new();
    let opened = futures::future::join_all((0..8).map(|_| folder.store())).await;
    let first = opened[0].capabilities().identity;
    assert!(opened.iter().all(|store| store.capabilities().identity == first));
    for store in &opened {
        store.append(Append::new([event("s", "{}")])).await.unwrap();
    }
    assert_eq!(payloads(&opened[0]).await.len(), 8);
}

#[tokio::test]
async fn the_file_can_be_read_in_the_shell() {
    let folder = Folder::new();
    let store = folder.store().await;
    let told = event("account-Ann's \"own\"", r#"{"owner":"Ann"}"#)
        .with_tags([crate::name("owner:Ann"), crate::name("b")])
        .with_id(EventId::from_bytes([0xab; 16]));
    store.append(Append::new([told])).await.unwrap();
    let row: (i64, String, i64, String, String, String, String, String) = folder
        .other()
        .query_row(
            "SELECT position, stream, revision, type, payload, typeof(payload), tags, id FROM events",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                    row.get(7)?,
                ))
            },
        )
        .unwrap();
    let (payload, tags) = (r#"{"owner":"Ann"}"#.into(), "owner:Ann, b".into());
    let id = "abababab-abab-abab-abab-abababababab".into();
    assert_eq!(row, (1, "account-Ann's \"own\"".into(), 0, "thing.happened".into(), payload, "text".into(), tags, id));
}

#[tokio::test]
async fn a_store_whose_file_was_deleted_acknowledges_nothing() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.append(Append::new([event("s", "1")])).await.unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    let refused = store.append(Append::new([event("s", "2")])).await.unwrap_err();
    assert!(matches!(refused, AppendError::Other(_)), "{refused:?}");
    assert!(refused.to_string().contains("deleted"), "{refused}");
}

#[tokio::test]
async fn a_store_whose_write_ahead_log_was_deleted_acknowledges_nothing() {
    let folder = Folder::new();
    let store = folder.store().await;
    for payload in ["1", "2"] {
        store.append(Append::new([event("s", payload)])).await.unwrap();
    }
    fs::remove_file(folder.path().join("log.db-wal")).unwrap();
    assert!(matches!(store.append(Append::new([event("s", "3")])).await, Err(AppendError::Other(_))));
}

#[tokio::test]
async fn a_handle_does_not_write_a_file_that_a_newer_program_has_changed() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.append(Append::new([event("s", "1")])).await.unwrap();
    folder.other().execute_batch("BEGIN; CREATE TABLE newer (n); PRAGMA user_version = 99; COMMIT").unwrap();
    for _ in 0..2 {
        let refused = store.append(Append::new([event("s", "2")])).await.unwrap_err();
        assert!(matches!(refused, AppendError::Other(_)), "{refused:?}");
        assert!(refused.to_string().contains("another format"), "{refused}");
        // What writes nothing else writes this.
        store.append(Append::default()).await.unwrap_err();
    }
    let version: i64 = folder.other().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[cfg(unix)]
mod read_only {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// The superuser may write everything, so the child goes on as somebody else.
    #[test]
    fn a_read_only_file_is_refused_by_name() {
        const FILE: &str = "PORTOLAN_TEST_READ_ONLY_FILE";
        if let Some(file) = std::env::var_os(FILE) {
            let refused = crate::block_on(SqliteStore::open(file)).unwrap_err();
            assert!(matches!(refused, OpenError::ReadOnly { .. }), "{refused:?}");
            return;
        }
        let folder = Folder::new();
        drop(crate::block_on(folder.store()));
        let executable = folder.path().join("child");
        // Not copied by this process: a file that a process has open to write, its forks have too, and it
        // cannot be run.
        let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&executable).status().unwrap();
        assert!(copied.success());
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o444)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
        let mut child = Command::new(&executable);
        child.args(["--exact", "opening::read_only::a_read_only_file_is_refused_by_name"]).env(FILE, folder.file());
        if fs::metadata(folder.path()).unwrap().uid() == 0 {
            child.uid(65_534).gid(65_534);
        }
        let output = child.output().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
    }
}
