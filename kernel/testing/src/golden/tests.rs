#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

use super::*;
use portolan_kernel::domain::history::{History, Hop};
use portolan_kernel::domain::{CodecError, EventError, variant};
use rstest::rstest;
use tempfile::TempDir;

/// The code of one time: the version that it writes, and whether it tells how the one before became it.
#[derive(Serialize, Deserialize)]
enum Account<const VERSION: u32, const KNOWS: bool> {
    #[serde(rename = "account.opened")]
    Opened {
        owner: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        currency: Option<String>,
    },
}

impl<const VERSION: u32, const KNOWS: bool> Event for Account<VERSION, KNOWS> {
    const CATEGORY: &'static str = "account";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn version(&self) -> u32 {
        VERSION
    }
    fn history() -> History {
        let history = History::new().current("account.opened", VERSION);
        if !KNOWS {
            return if VERSION == 1 { history } else { History::new() };
        }
        let hop = Hop::from("account.opened", 1).add("currency", "EUR");
        history.hop(hop.to("account.opened", 2))
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

type First = Account<1, false>;
type Second = Account<2, true>;

fn opened<const VERSION: u32, const KNOWS: bool>(currency: Option<&str>) -> Account<VERSION, KNOWS> {
    Account::Opened { owner: "Ann".into(), currency: currency.map(Into::into) }
}

fn of<E: Event>(folder: &TempDir, sample: E, write: bool) -> Result<(), String> {
    golden(folder.path().join("account")).sample(sample).verdict(write)
}

fn file(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join("account").join(name)).unwrap()
}

/// The first version, written by its code; then the second, by its own.
fn two_versions() -> TempDir {
    let folder = TempDir::new().unwrap();
    of::<First>(&folder, opened(None), true).unwrap();
    of::<Second>(&folder, opened(Some("USD")), true).unwrap();
    folder
}

#[test]
fn files_are_written_once_and_checked_ever_after() {
    let folder = TempDir::new().unwrap();
    let missing = of::<First>(&folder, opened(None), false).unwrap_err();
    assert!(missing.contains("there is no golden file") && missing.contains("PORTOLAN_GOLDEN=write"), "{missing}");
    of::<First>(&folder, opened(None), true).unwrap();
    let written = file(&folder, "account.opened.v1.json");
    assert!(written.contains(r#""payload": {"owner":"Ann"}"#), "{written}");
    of::<First>(&folder, opened(None), false).unwrap();
    of::<First>(&folder, opened(None), true).unwrap();
    assert_eq!(file(&folder, "account.opened.v1.json"), written);
}

#[test]
fn old_versions_stay_and_become_the_current_one() {
    let folder = two_versions();
    of::<Second>(&folder, opened(Some("USD")), false).unwrap();
    let old = file(&folder, "account.opened.v1.json");
    assert!(old.contains(r#""payload": {"owner":"Ann"}"#), "{old}");
    assert!(old.contains(r#"{"owner":"Ann","currency":"EUR"}"#), "{old}");
}

#[test]
fn another_payload_under_the_same_version_is_refused_also_when_writing() {
    let folder = TempDir::new().unwrap();
    of::<First>(&folder, opened(None), true).unwrap();
    for write in [false, true] {
        let changed = of::<First>(&folder, opened(Some("EUR")), write).unwrap_err();
        assert!(changed.contains("under the same version. Raise the version"), "{changed}");
        assert!(changed.contains("-   \"payload\": {\"owner\":\"Ann\"}"), "{changed}");
    }
    assert!(!file(&folder, "account.opened.v1.json").contains("EUR"));
}

#[test]
fn a_version_that_is_read_otherwise_is_told_line_by_line() {
    let folder = two_versions();
    let path = folder.path().join("account/account.opened.v1.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("EUR", "CHF")).unwrap();
    let otherwise = of::<Second>(&folder, opened(Some("USD")), false).unwrap_err();
    assert!(otherwise.contains("version 1 is read otherwise than it was"), "{otherwise}");
    assert!(otherwise.contains("CHF") && otherwise.contains("EUR"), "{otherwise}");
    of::<Second>(&folder, opened(Some("USD")), true).unwrap();
    of::<Second>(&folder, opened(Some("USD")), false).unwrap();
}

#[test]
fn a_version_that_nobody_reads_any_more_is_told() {
    let folder = two_versions();
    let lost = of::<Account<2, false>>(&folder, opened(Some("USD")), true).unwrap_err();
    assert!(lost.contains("account.opened version 1 cannot be read any more"), "{lost}");
}

#[rstest]
#[case("account.opened.v1.json", "take a payload from a store of that time")]
#[case("account.opened.v2.json", "run the test with PORTOLAN_GOLDEN=write")]
fn a_version_without_a_file_is_told(#[case] name: &str, #[case] mend: &str) {
    let folder = two_versions();
    fs::remove_file(folder.path().join("account").join(name)).unwrap();
    let missing = of::<Second>(&folder, opened(Some("USD")), false).unwrap_err();
    assert!(missing.contains(name) && missing.contains(mend), "{missing}");
}

#[test]
fn a_variant_without_a_sample_is_told() {
    let folder = TempDir::new().unwrap();
    let none = golden::<First>(folder.path()).verdict(true).unwrap_err();
    assert!(none.contains("account.opened version 1") && none.contains("give a sample of it"), "{none}");
}

#[rstest]
#[case("{")]
#[case(r#"{"type": "account.opened", "version": 1}"#)]
#[case(r#"{"type": "account.opened", "version": 1, "payload_hex": "f"}"#)]
#[case(r#"{"type": "", "version": 1, "payload": {}}"#)]
#[case(r#"{"type": "account.opened", "version": 1, "payload": {"owner": "Ann"}, "more": 1}"#)]
fn a_file_of_another_form_is_told_by_its_name(#[case] text: &str) {
    let folder = two_versions();
    fs::write(folder.path().join("account/by-hand.json"), text).unwrap();
    let wrong = of::<Second>(&folder, opened(Some("USD")), false).unwrap_err();
    assert!(wrong.contains("by-hand.json"), "{wrong}");
}

#[test]
fn white_space_of_a_person_changes_nothing() {
    let folder = two_versions();
    let path = folder.path().join("account/account.opened.v2.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(r#"{"owner":"Ann","#, "{\n  \"owner\": \"Ann\",\n  ")).unwrap();
    of::<Second>(&folder, opened(Some("USD")), false).unwrap();
}

#[test]
fn several_forms_of_one_event_have_a_file_each() {
    let folder = TempDir::new().unwrap();
    let golden = || golden(folder.path().join("account")).samples([opened::<1, false>(None), opened(Some("EUR"))]);
    golden().verdict(true).unwrap();
    golden().verdict(false).unwrap();
    assert!(file(&folder, "account.opened.v1-2.json").contains("EUR"));
}
