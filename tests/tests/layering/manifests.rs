//! Dependencies of members are those of the workspace: version and features stand in one place. Only which features of
//! a package of ours are taken may be said where it is taken.

/// Lines of a member's manifest that say more of a dependency than that it is the workspace's.
pub(crate) fn own_dependencies(path: &str, manifest: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut section = "";
    for line in manifest.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            if section.split_once("dependencies.").is_some() {
                breaches.push(breach(path, line));
            }
            continue;
        }
        let of_dependencies = section != "workspace.dependencies" && section.ends_with("dependencies");
        if of_dependencies && !line.is_empty() && !is_inherited(line) {
            breaches.push(breach(path, line));
        }
    }
    breaches
}

fn is_inherited(line: &str) -> bool {
    let compact: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    let Some((name, value)) = compact.split_once('=') else { return false };
    let with_features = || {
        let features = value.strip_prefix("{workspace=true,features=[").and_then(|rest| rest.strip_suffix("]}"));
        features.is_some_and(|features| !features.contains(['[', '{']))
    };
    (name.ends_with(".workspace") && value == "true")
        // Our own packages are built anyway, and with what they have to offer.
        || (name.starts_with("portolan") && with_features())
        || matches!(value, "{workspace=true}" | "{workspace=true,optional=true}" | "{optional=true,workspace=true}")
}

fn breach(path: &str, line: &str) -> String {
    format!(
        "Rule 6, shared dependencies take their version and features in workspace.dependencies only: {path} says \
         `{line}`. Write `name.workspace = true`, and the rest into the root's Cargo.toml."
    )
}
