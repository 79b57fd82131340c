//! What others have signed for us: one line of JSON for each certificate that a remote authority
//! issued, also those that were refused when they came or given up, since they are paid for, appended to `issued.jsonl` in the state directory. Whoever revokes a certificate, or
//! checks a bill, finds here which CA made it and for whom.
//!
//! Nothing is ever rewritten. The file is opened anew for each entry, so it can be moved away while
//! agents run; several of them may append to one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::desired::layout;
use crate::identity::{AuthorityName, NodeName};
use crate::time::{OffsetDateTime, parse_moment, rfc3339};
use crate::x509::printable::printable;

/// The longest line that is read; one of ours has some 400 bytes.
const LONGEST_LINE: u64 = 16 * 1024;

/// As much of the end as is read of what is recent: more than AWS's quotas let through in an hour.
const RECENT: u64 = 64 << 20;

/// One certificate that a remote authority issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When we had it, to the second.
    pub time: OffsetDateTime,
    /// The authority, as the mesh calls it.
    pub authority: AuthorityName,
    /// Whom it is for.
    pub holder: Holder,
    /// Its serial number as OpenSSL prints it: upper-case hexadecimal, without separators. Empty
    /// where a certificate that nobody uses could not be read.
    pub serial: String,
    /// Whether nobody uses it, though it is paid for: it was not what was asked for, or is not
    /// wanted any more.
    pub is_unused: bool,
    /// Its ARN, which begins with that of the CA.
    pub certificate_arn: String,
    /// Its last second.
    pub not_after: OffsetDateTime,
}

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A local authority, whose intermediate CA it is.
    Ca(AuthorityName),
    /// A node.
    Leaf(NodeName),
}

impl Entry {
    /// The ARN of the CA that issued it.
    pub fn ca_arn(&self) -> &str {
        self.certificate_arn.split("/certificate/").next().unwrap_or_default()
    }
}

/// Why the record cannot be kept or read.
#[derive(Debug, Error)]
pub enum AuditError {
    /// It cannot be written.
    #[error("cannot add to {}: {cause}", printable(&path.display().to_string()))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read {}: {cause}", printable(&path.display().to_string()))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// The record of one state directory.
#[derive(Clone, Debug)]
pub struct Audit {
    path: PathBuf,
}

/// Adds an entry to the record of the directory `state`. What is issued is used even if that fails:
/// it is paid for. An operator is told then, with all that the entry says.
pub fn record(state: &Path, entry: &Entry) {
    if let Err(error) = Audit::open(state).and_then(|audit| audit.append(entry)) {
        tracing::error!(
            authority = %entry.authority,
            certificate = %entry.certificate_arn,
            serial = %entry.serial,
            "a certificate was issued, and is in no record: {error}"
        );
    }
}

impl Audit {
    /// The record in the directory `state`, which must exist. The file is made, with mode 0600, if
    /// it is not there: whether it can be written is known before anything is paid for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(state: &Path) -> Result<Self, AuditError> {
        let audit = Self { path: state.join(layout::ISSUED) };
        let failed = |cause| AuditError::Write { path: audit.path.clone(), cause };
        let was_there = audit.path.exists();
        audit.file().map_err(failed)?;
        if !was_there {
            File::open(state).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
        Ok(audit)
    }

    /// Adds an entry; it is on disk when this returns. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, entry: &Entry) -> Result<(), AuditError> {
        let failed = |cause| AuditError::Write { path: self.path.clone(), cause };
        let mut line = serde_json::to_vec(&Line::from(entry))
            .map_err(|error| failed(io::Error::other(error)))?;
        line.push(b'\n');
        let mut file = self.file().map_err(failed)?;
        if ends_within_a_line(&file).map_err(failed)? {
            line.insert(0, b'\n');
        }
        // One call, so that lines of others who append stay whole too.
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(failed)
    }

    /// The entries of the directory `state`, oldest first; none where there is no record. A line
    /// that is no entry, as a crash leaves one at the end, is left out.
    ///
    /// # Errors
    /// When the file is there and cannot be opened; each entry, when it cannot be read.
    pub fn read(
        state: &Path,
    ) -> Result<impl Iterator<Item = Result<Entry, AuditError>>, AuditError> {
        Self::read_last(state, u64::MAX)
    }

    /// The same of the last 64 MiB alone: some 150,000 entries.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn recent(
        state: &Path,
    ) -> Result<impl Iterator<Item = Result<Entry, AuditError>>, AuditError> {
        Self::read_last(state, RECENT)
    }

    fn read_last(
        state: &Path,
        most: u64,
    ) -> Result<impl Iterator<Item = Result<Entry, AuditError>>, AuditError> {
        let path = state.join(layout::ISSUED);
        let mut file = match opened_near_its_end(&path, most) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(AuditError::Read { path, cause }),
        };
        Ok(std::iter::from_fn(move || {
            loop {
                match next_line(file.as_mut()?) {
                    Ok(Some(line)) => {
                        if let Some(entry) = Line::parse(&line) {
                            return Some(Ok(entry));
                        }
                    }
                    Ok(None) => return None,
                    Err(cause) => {
                        file = None;
                        return Some(Err(AuditError::Read { path: path.clone(), cause }));
                    }
                }
            }
        }))
    }

    fn file(&self) -> io::Result<File> {
        if fs::symlink_metadata(&self.path).is_ok_and(|about| !about.is_file()) {
            return Err(io::Error::other("it is no regular file; move it away"));
        }
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)
    }
}

/// A file, to be read where at most so many bytes are left; in the middle of a line, perhaps.
fn opened_near_its_end(path: &Path, most: u64) -> io::Result<File> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    Ok(file)
}

/// Whether the last line of a file was cut short.
fn ends_within_a_line(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last != [b'\n'])
}

/// The next line, cut off where it is longer than any of ours.
fn next_line(file: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line))
}

/// An entry as it is written.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    time: String,
    authority: String,
    purpose: Purpose,
    /// The node's name, or that of the local authority.
    node: String,
    serial: String,
    certificate_arn: String,
    not_after: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unused: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Purpose {
    Ca,
    Leaf,
}

impl From<&Entry> for Line {
    fn from(entry: &Entry) -> Self {
        let (purpose, node) = match &entry.holder {
            Holder::Ca(authority) => (Purpose::Ca, authority.to_string()),
            Holder::Leaf(node) => (Purpose::Leaf, node.to_string()),
        };
        Self {
            time: rfc3339(entry.time.truncate_to_second()),
            authority: entry.authority.to_string(),
            purpose,
            node,
            serial: entry.serial.clone(),
            certificate_arn: entry.certificate_arn.clone(),
            not_after: rfc3339(entry.not_after),
            unused: entry.is_unused,
        }
    }
}

impl Line {
    fn parse(line: &[u8]) -> Option<Entry> {
        let line: Self = serde_json::from_slice(line).ok()?;
        Some(Entry {
            time: parse_moment(&line.time).ok()?,
            authority: AuthorityName::parse(&line.authority).ok()?,
            holder: match line.purpose {
                Purpose::Ca => Holder::Ca(AuthorityName::parse(&line.node).ok()?),
                Purpose::Leaf => Holder::Leaf(NodeName::parse(&line.node).ok()?),
            },
            serial: line.serial,
            certificate_arn: line.certificate_arn,
            not_after: parse_moment(&line.not_after).ok()?,
            is_unused: line.unused,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use time::macros::datetime;

    use super::*;

    fn entry(serial: &str) -> Entry {
        Entry {
            time: datetime!(2026-11-21 12:00 UTC),
            authority: AuthorityName::parse("pca").unwrap(),
            holder: Holder::Leaf(NodeName::parse("front").unwrap()),
            serial: serial.to_owned(),
            certificate_arn: format!(
                "arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1/certificate/{serial}"
            ),
            not_after: datetime!(2026-11-22 12:00 UTC),
            is_unused: false,
        }
    }

    fn read(state: &Path) -> Vec<Entry> {
        Audit::read(state).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_is_added_is_read_back_in_order_and_only_its_owner_may() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(read(state.path()), []);
        let audit = Audit::open(state.path()).unwrap();
        let ca = Holder::Ca(AuthorityName::parse("ca_2").unwrap());
        let unused = Entry { is_unused: true, ..entry("") };
        let entries = [entry("0A"), Entry { holder: ca, ..entry("0B") }, unused];
        entries.iter().for_each(|entry| audit.append(entry).unwrap());
        assert_eq!(read(state.path()), entries);
        let path = state.path().join("issued.jsonl");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let first = fs::read_to_string(&path).unwrap();
        assert_eq!(
            first.lines().next().unwrap(),
            "{\"time\":\"2026-11-21T12:00:00Z\",\"authority\":\"pca\",\"purpose\":\"leaf\",\
             \"node\":\"front\",\"serial\":\"0A\",\"certificateArn\":\"arn:aws:acm-pca:us-east-2:\
             111122223333:certificate-authority/1/certificate/0A\",\
             \"notAfter\":\"2026-11-22T12:00:00Z\"}"
        );
        assert!(first.lines().last().unwrap().ends_with(",\"unused\":true}"), "{first}");
    }

    #[test]
    fn a_line_that_a_crash_cut_short_costs_no_other() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("issued.jsonl");
        let audit = Audit::open(state.path()).unwrap();
        audit.append(&entry("0A")).unwrap();
        let mut text = fs::read(&path).unwrap();
        let whole = text.clone();
        text.extend_from_slice(&whole[..whole.len() / 2]);
        fs::write(&path, &text).unwrap();
        assert_eq!(read(state.path()), [entry("0A")]);
        audit.append(&entry("0B")).unwrap();
        assert_eq!(read(state.path()), [entry("0A"), entry("0B")]);
        let torn = [&text[..], &b"\n"[..]].concat();
        assert!(fs::read(&path).unwrap().starts_with(&torn), "nothing is rewritten");
    }

    #[test]
    fn a_line_of_any_length_is_passed_over() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("issued.jsonl");
        fs::write(&path, "x".repeat(100_000)).unwrap();
        let audit = Audit::open(state.path()).unwrap();
        audit.append(&entry("0A")).unwrap();
        assert_eq!(read(state.path()), [entry("0A")]);
    }

    #[test]
    fn of_a_long_record_the_end_can_be_read_alone() {
        let state = tempfile::tempdir().unwrap();
        let audit = Audit::open(state.path()).unwrap();
        for serial in ["0A", "0B", "0C"] {
            audit.append(&entry(serial)).unwrap();
        }
        let length = fs::metadata(state.path().join("issued.jsonl")).unwrap().len();
        let last = |most| Audit::read_last(state.path(), most).unwrap().map(Result::unwrap);
        assert!(last(length / 2).eq([entry("0C")]), "what is cut off is no entry");
        assert_eq!(last(length).count(), 3);
        assert_eq!(last(0).count(), 0);
    }

    #[test]
    fn it_may_be_moved_away_at_any_time() {
        let state = tempfile::tempdir().unwrap();
        let audit = Audit::open(state.path()).unwrap();
        audit.append(&entry("0A")).unwrap();
        fs::rename(state.path().join("issued.jsonl"), state.path().join("old")).unwrap();
        audit.append(&entry("0B")).unwrap();
        assert_eq!(read(state.path()), [entry("0B")]);
    }

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        let state = tempfile::tempdir().unwrap();
        let error = Audit::open(&state.path().join("nowhere")).unwrap_err().to_string();
        assert!(error.contains("nowhere/issued.jsonl"), "{error}");
        fs::create_dir(state.path().join("issued.jsonl")).unwrap();
        let error = Audit::open(state.path()).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
    }

    #[test]
    fn an_entry_tells_which_ca_issued_it() {
        let arn = "arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1";
        assert_eq!(entry("0A").ca_arn(), arn);
    }
}
