//! The rules over declared dependencies. Each gives the sentences that say what is broken and how to mend it.

use cargo_metadata::{Dependency, DependencyKind, Metadata, Package};
use std::collections::BTreeSet;

pub(crate) const KERNEL: &str = "portolan-kernel";
pub(crate) const CONFORMANCE: &str = "portolan-conformance";
pub(crate) const FACADE: &str = "portolan";
pub(crate) const MACROS: &str = "portolan-macros";

/// What the kernel may stand on. Each builds without `std`; nothing here does I/O, tells time or runs tasks.
const KERNEL_DEPENDENCIES: &[&str] = &[
    "async-channel",
    "async-lock",
    "async-trait",
    "bytes",
    "event-listener",
    "futures",
    "schemars",
    "serde",
    "serde_ignored",
    "serde_json",
    "serde_path_to_error",
    "sha2",
    "thiserror",
    "uuid",
];

/// Those without a feature `std` to turn off.
const WITHOUT_STD_FEATURE: &[&str] = &["async-trait", "serde_ignored", "serde_path_to_error"];

/// Pure, but not without `std`: to be asked for by a feature.
const ONLY_BY_FEATURE: &[&str] = &["validator"];

/// Besides adapters: what the bank and the bench use.
const FACADE_DEV_DEPENDENCIES: &[&str] = &["clap", "jiff", "serde", "serde_json", "thiserror", "tokio", "validator"];

/// The features of dependencies that a feature of the facade turns on: TLS and the environment's configuration double what
/// the SDK costs to build, and TLS needs a C compiler where the rest of gRPC needs none.
const FACADE_TURNS_ON: &[&str] = &["portolan-dynamodb/aws-config", "portolan-grpc/tls"];

const FACADE_DEFAULT: &[&str] = &["memory", "sqlite", "http", "tokio", "macros"];

pub(crate) fn breaches(metadata: &Metadata) -> Vec<String> {
    let rules = [
        kernel_stands_alone,
        adapters_know_no_adapter,
        conformance_knows_the_kernel_alone,
        derives_know_nothing_of_ours,
        backends_know_nothing,
        few_name_adapters,
        features_only_add,
        the_facade_builds_little,
    ];
    rules.into_iter().flat_map(|rule| rule(metadata)).collect()
}

/// Where a package stands, by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Kernel,
    /// `kernel/macros`, `kernel/testing`.
    BesideKernel,
    Adapter,
    Conformance,
    Facade,
    Example,
    Tests,
    /// `tests/<backend>`: what an adapter's tests run against.
    Backend,
    Unknown,
}

fn place(metadata: &Metadata, package: &Package) -> Place {
    let folder = package.manifest_path.parent().and_then(|folder| folder.strip_prefix(&metadata.workspace_root).ok());
    let names: Vec<_> = folder.into_iter().flat_map(|folder| folder.iter()).collect();
    match names[..] {
        [] if folder.is_some() => Place::Facade,
        ["kernel"] => Place::Kernel,
        ["kernel", _] => Place::BesideKernel,
        ["adapters", _] => Place::Adapter,
        ["conformance"] => Place::Conformance,
        ["examples", _] => Place::Example,
        ["tests"] | ["tests", "renamed"] | ["benches"] => Place::Tests,
        ["tests", _] => Place::Backend,
        _ => Place::Unknown,
    }
}

struct House<'a> {
    members: Vec<(&'a Package, Place)>,
}

impl<'a> House<'a> {
    fn of(metadata: &'a Metadata) -> Self {
        Self { members: metadata.packages.iter().map(|package| (package, place(metadata, package))).collect() }
    }

    fn at(&self, of: Place) -> impl Iterator<Item = &'a Package> + '_ {
        self.members.iter().filter(move |(_, place)| *place == of).map(|(package, _)| *package)
    }

    fn only(&self, of: Place) -> Result<&'a Package, Vec<String>> {
        let mut found = self.at(of);
        found.next().ok_or_else(|| vec![format!("There is no package at the place {of:?}; the layering test is lost.")])
    }

    fn place_of(&self, dependency: &Dependency) -> Option<Place> {
        self.members.iter().find(|(package, _)| package.name.as_str() == dependency.name).map(|(_, place)| *place)
    }
}

fn kind(dependency: &Dependency) -> &'static str {
    match dependency.kind {
        DependencyKind::Development => "dev-dependency",
        DependencyKind::Build => "build-dependency",
        _ => "dependency",
    }
}

/// Rule 1.
pub(crate) fn kernel_stands_alone(metadata: &Metadata) -> Vec<String> {
    let house = House::of(metadata);
    let kernel = match house.only(Place::Kernel) {
        Ok(kernel) => kernel,
        Err(lost) => return lost,
    };
    let mut breaches = Vec::new();
    for dependency in &kernel.dependencies {
        let name = &*dependency.name;
        let (rule, kind) =
            ("Rule 1, the kernel knows no I/O, no clock, no runtime and no randomness:", kind(dependency));
        match house.place_of(dependency) {
            Some(Place::BesideKernel) => {}
            Some(_) => breaches.push(format!(
                "{rule} {KERNEL} has the {kind} {name}, another package of the workspace. Move what it needs into the \
                 kernel, or make it a port."
            )),
            None if dependency.kind == DependencyKind::Development => {}
            None if ONLY_BY_FEATURE.contains(&name) && dependency.optional => {}
            None if ONLY_BY_FEATURE.contains(&name) => breaches.push(format!(
                "{rule} {KERNEL} always has the {kind} {name}, which needs std. Make it optional, behind a feature of its \
                 name."
            )),
            None if !KERNEL_DEPENDENCIES.contains(&name) => breaches.push(format!(
                "{rule} {KERNEL} has the {kind} {name}, which is not among the few it may have. Make what it does a port \
                 that an adapter implements; or, if it is pure and builds without std, add it to \
                 KERNEL_DEPENDENCIES in tests/tests/layering/rules.rs."
            )),
            None if dependency.uses_default_features && !WITHOUT_STD_FEATURE.contains(&name) => breaches.push(format!(
                "{rule} {KERNEL} takes {name} with its default features, which may need std. Set `default-features = \
                 false` for it in workspace.dependencies."
            )),
            None if dependency.features.iter().any(|feature| feature == "std") => breaches.push(format!(
                "{rule} {KERNEL} takes {name} with the feature std. Take it without, in workspace.dependencies."
            )),
            None => {}
        }
    }
    breaches
}

/// Rule 2.
pub(crate) fn adapters_know_no_adapter(metadata: &Metadata) -> Vec<String> {
    let house = House::of(metadata);
    let rule = "Rule 2, an adapter depends on the kernel and on what it adapts, and knows no other adapter:";
    let mut breaches = Vec::new();
    for adapter in house.at(Place::Adapter) {
        let name = &adapter.name;
        if !adapter.dependencies.iter().any(|d| d.name == KERNEL && d.kind == DependencyKind::Normal) {
            breaches.push(format!("{rule} {name} does not depend on {KERNEL}. An adapter implements a port of it."));
        }
        for dependency in &adapter.dependencies {
            let (kind, other) = (kind(dependency), &dependency.name);
            match house.place_of(dependency) {
                Some(Place::Adapter) => breaches.push(format!(
                    "{rule} {name} has the {kind} {other}. Take the port as an argument instead; a test of the two \
                     together belongs in tests/."
                )),
                // Derives may be a dependency, test helpers not.
                Some(Place::Conformance | Place::BesideKernel | Place::Backend)
                    if dependency.kind == DependencyKind::Normal && other != MACROS =>
                {
                    breaches.push(format!(
                        "Rule 4, test helpers are dev-dependencies: {name} has the {kind} {other}. Move it to \
                         [dev-dependencies]."
                    ));
                }
                Some(Place::Facade | Place::Example | Place::Tests | Place::Unknown) => breaches
                    .push(format!("{rule} {name} has the {kind} {other}. Depend on {KERNEL}, which has the ports.")),
                _ => {}
            }
        }
    }
    breaches
}

/// Rule 4.
pub(crate) fn conformance_knows_the_kernel_alone(metadata: &Metadata) -> Vec<String> {
    let house = House::of(metadata);
    let rule = "Rule 4, conformance and kernel/testing depend on no workspace crate but the kernel:";
    let mut breaches = house.only(Place::Conformance).err().unwrap_or_default();
    for package in house.at(Place::Conformance).chain(house.at(Place::BesideKernel)) {
        for dependency in package.dependencies.iter().filter(|d| house.place_of(d).is_some_and(|p| p != Place::Kernel))
        {
            breaches.push(format!(
                "{rule} {} has the {} {}. Say what it needs in terms of the ports; a test of a concrete store belongs to \
                 that store.",
                package.name,
                kind(dependency),
                dependency.name
            ));
        }
    }
    breaches
}

/// Rule 4, for what a kernel with derives is built from.
pub(crate) fn derives_know_nothing_of_ours(metadata: &Metadata) -> Vec<String> {
    let house = House::of(metadata);
    let Some(macros) = house.at(Place::BesideKernel).find(|package| package.name.as_str() == MACROS) else {
        return vec![format!("There is no {MACROS} in kernel/; the layering test is lost.")];
    };
    let built_with = macros.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
    built_with
        .filter(|dependency| house.place_of(dependency).is_some())
        .map(|dependency| {
            format!(
                "Rule 4, derives write code that names the kernel and know no package of the workspace: {MACROS} has the \
                 {} {}. Let what they write call it instead; a test of theirs takes it as a dev-dependency.",
                kind(dependency),
                dependency.name
            )
        })
        .collect()
}

/// Rule 4, of what tests run against.
pub(crate) fn backends_know_nothing(metadata: &Metadata) -> Vec<String> {
    let house = House::of(metadata);
    let rule = "Rule 4, a backend for tests depends on no workspace crate:";
    let mut breaches = Vec::new();
    for package in house.at(Place::Backend) {
        for dependency in package.dependencies.iter().filter(|d| house.place_of(d).is_some()) {
            breaches.push(format!(
                "{rule} {} has the {} {}. Let it start the backend and say where it is; what opens a store there belongs \
                 to the adapter's own tests.",
                package.name,
                kind(dependency),
                dependency.name
            ));
        }
    }
    breaches
}

/// Rule 5.
pub(crate) fn few_name_adapters(metadata: &Metadata) -> Vec<String> {
    let house = House::of(metadata);
    let mut breaches = Vec::new();
    for (package, place) in &house.members {
        if *place == Place::Unknown {
            breaches.push(format!(
                "Rule 5, only the facade, examples, benches and tests name concrete adapters: {} stands where no rule knows it. Move \
                 it to kernel/, adapters/, conformance/, examples/, benches/ or tests/, or give its folder a rule in \
                 tests/tests/layering/rules.rs.",
                package.name
            ));
        }
        if matches!(place, Place::Facade | Place::Example | Place::Tests | Place::Adapter) {
            continue; // of adapters rule 2 speaks
        }
        for dependency in package.dependencies.iter().filter(|d| house.place_of(d) == Some(Place::Adapter)) {
            breaches.push(format!(
                "Rule 5, only the facade, examples, benches and tests name concrete adapters: {} has the {} {}. Take the port from \
                 the caller instead.",
                package.name,
                kind(dependency),
                dependency.name
            ));
        }
    }
    breaches
}

/// Rule 6, first half.
pub(crate) fn features_only_add(metadata: &Metadata) -> Vec<String> {
    let house = House::of(metadata);
    let facade = match house.only(Place::Facade) {
        Ok(facade) => facade,
        Err(lost) => return lost,
    };
    let rule = "Rule 6, a feature adds and never changes what exists:";
    let mut breaches = Vec::new();
    for dependency in facade.dependencies.iter().filter(|d| house.place_of(d) == Some(Place::Adapter)) {
        if dependency.kind == DependencyKind::Normal && !dependency.optional {
            breaches.push(format!(
                "{rule} {FACADE} always depends on {}. Make it optional, behind a feature of its name.",
                dependency.name
            ));
        }
    }
    for feature in facade.features.get("default").into_iter().flatten() {
        if !FACADE_DEFAULT.contains(&&**feature) {
            breaches.push(format!(
                "{rule} the default features of {FACADE} have {feature}, which is to be asked for. Take it out; the defaults \
                 are {}.",
                FACADE_DEFAULT.join(", ")
            ));
        }
    }
    let known: BTreeSet<_> = facade.features.keys().map(String::as_str).collect();
    for (feature, turns_on) in facade.features.iter().filter(|(name, _)| *name != "default") {
        // The kernel is always there, and a feature of it is a feature of the facade.
        let of_others = |on: &&String| {
            !on.starts_with("dep:")
                && !known.contains(on.as_str())
                && !on.starts_with("portolan-kernel/")
                && !FACADE_TURNS_ON.contains(&on.as_str())
        };
        for on in turns_on.iter().filter(of_others) {
            breaches.push(format!(
                "{rule} the feature {feature} of {FACADE} turns on {on}, a feature of a dependency. Let it turn on \
                 `dep:…` and features of {KERNEL} alone; features of dependencies stand in workspace.dependencies."
            ));
        }
    }
    breaches
}

/// Rule 6, second half.
pub(crate) fn the_facade_builds_little(metadata: &Metadata) -> Vec<String> {
    let house = House::of(metadata);
    let facade = match house.only(Place::Facade) {
        Ok(facade) => facade,
        Err(lost) => return lost,
    };
    let dev = facade.dependencies.iter().filter(|d| d.kind == DependencyKind::Development);
    dev.filter(|dependency| !FACADE_DEV_DEPENDENCIES.contains(&&*dependency.name))
        .map(|dependency| {
            format!(
                "Rule 6, `cargo run --example bank` compiles only what it runs on: {FACADE} has the dev-dependency {}, \
                 and the bank does not use it. Move the test that needs it to tests/.",
                dependency.name
            )
        })
        .collect()
}
