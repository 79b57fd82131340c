//! Holds what is built, and Cargo.lock, to the bans of deny.toml, and to the versions in which
//! known flaws were mended: the part of cargo-deny's work that must hold offline, on every test
//! run.

use std::process::Command;

const DENY: &str = include_str!("../deny.toml");
const LOCK: &str = include_str!("../Cargo.lock");

/// Banned packages that Cargo.lock names though nothing builds them, each with the only package
/// that may name it: Cargo locks what a weak feature (`ring?/alloc`) mentions.
const NEVER_BUILT: [(&str, &str); 1] = [("ring", "rustls-webpki")];

/// The first good version after an advisory of RustSec, for packages that we may depend on.
const FLOORS: [(&str, Version); 4] = [
    ("aws-lc-sys", Version(0, 39, 0)),
    ("h2", Version(0, 4, 16)),
    ("rustls-webpki", Version(0, 103, 13)),
    ("time", Version(0, 3, 47)),
];

#[test]
fn nothing_banned_is_built() {
    let cargo = std::env::var_os("CARGO").expect("tests run by cargo");
    let tree = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--format", "{p}"])
        .output()
        .expect("cargo runs");
    let built = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    assert!(built.contains("aws-lc-rs v"), "not what is built: {built}");
    let bans = bans(DENY);
    let names = built.lines().filter_map(|line| line.split(' ').next());
    let banned: Vec<_> = names.filter(|name| bans.contains(name)).collect();
    assert_eq!(banned, Vec::<&str>::new(), "deny.toml says why");
}

#[test]
fn nothing_banned_is_locked() {
    assert_eq!(banned_packages(DENY, LOCK), Vec::<String>::new(), "deny.toml says why");
}

#[test]
fn no_package_is_below_its_floor() {
    assert_eq!(below_floor(LOCK), Vec::<String>::new());
}

#[test]
fn a_banned_package_is_found() {
    let package = |name: &str, dependency: &str| {
        let head = format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
        format!("{head}dependencies = [\n \"{dependency}\",\n]\n\n")
    };
    let expected = ["hyper-tls -> native-tls", "native-tls", "native-tls -> openssl"];
    let lock = package("hyper-tls", "native-tls") + &package("native-tls", "openssl 0.10.1");
    assert_eq!(banned_packages(DENY, &lock), expected);
    let lock = package("rustls-webpki", "ring") + &package("ring", "cc");
    assert_eq!(banned_packages(DENY, &lock), Vec::<String>::new());
    let lock = lock + &package("rustls", "ring");
    assert_eq!(banned_packages(DENY, &lock), ["rustls -> ring"]);
}

#[test]
fn an_old_package_is_found() {
    let lock = format!("{LOCK}\n[[package]]\nname = \"time\"\nversion = \"0.3.9\"\n");
    assert_eq!(below_floor(&lock), ["time 0.3.9 is below 0.3.47"]);
}

#[test]
fn the_lock_file_is_read_whole() {
    let packages = packages(LOCK);
    assert_eq!(packages.len(), LOCK.matches("[[package]]").count());
    let certctl = packages.iter().find(|package| package.name == "certctl").expect("ourselves");
    assert_eq!(certctl.version, env!("CARGO_PKG_VERSION"));
    assert!(certctl.dependencies.contains(&"aws-lc-rs"));
}

/// Every banned package, by its name, and every package that names it: `a -> b`.
fn banned_packages(deny: &str, lock: &str) -> Vec<String> {
    let bans = bans(deny);
    let mut found = Vec::new();
    for package in packages(lock) {
        let never_built = NEVER_BUILT.iter().any(|(name, _)| *name == package.name);
        if bans.contains(&package.name) && !never_built {
            found.push(package.name.to_owned());
        }
        for dependency in package.dependencies {
            if bans.contains(&dependency) && !NEVER_BUILT.contains(&(dependency, package.name)) {
                found.push(format!("{} -> {dependency}", package.name));
            }
        }
    }
    found
}

fn below_floor(lock: &str) -> Vec<String> {
    let mut found = Vec::new();
    for Package { name, version, .. } in packages(lock) {
        for (_, floor) in FLOORS.iter().filter(|(floored, _)| *floored == name) {
            if Version::parse(version).is_none_or(|version| version < *floor) {
                found
                    .push(format!("{name} {version} is below {}.{}.{}", floor.0, floor.1, floor.2));
            }
        }
    }
    found
}

/// The names under `deny` in deny.toml, which has one to a line.
fn bans(deny: &str) -> Vec<&str> {
    deny.lines()
        .skip_while(|line| *line != "deny = [")
        .skip(1)
        .take_while(|line| *line != "]")
        .filter_map(|line| line.trim().strip_prefix("{ name = \"")?.split('"').next())
        .collect()
}

/// Every package in Cargo.lock, which Cargo always writes in this form.
fn packages(lock: &str) -> Vec<Package<'_>> {
    lock.split("[[package]]\n")
        .skip(1)
        .filter_map(|package| {
            let mut lines = package.lines();
            let name = value(lines.next()?, "name")?;
            let version = value(lines.next()?, "version")?;
            // ` "name",` or, where there are several versions, ` "name version",`.
            let dependencies = lines
                .filter_map(|line| line.strip_prefix(" \"")?.split(['"', ' ']).next())
                .collect();
            Some(Package { name, version, dependencies })
        })
        .collect()
}

struct Package<'a> {
    name: &'a str,
    version: &'a str,
    dependencies: Vec<&'a str>,
}

/// What `line` gives to `key`: `key = "value"`.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Version(u64, u64, u64);

impl Version {
    /// A pre-release or build suffix is beside the point of a floor.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next()??))
    }
}
