//! What an agent keeps of its nodes: one journal, in which the last record of a kind counts for its
//! node. Blocking; threads may share one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::record::{self, Kind};
use super::{Damage, Held};
use crate::files::{Directory, FileName, FilesError, Journal, framed};
use crate::identity::{AuthorityName, NodeName};
use crate::x509::certificate::Certificate;
use crate::x509::credential::Credential;
use crate::x509::key::PrivateKey;

/// The journal's name in the state directory.
const JOURNAL: &str = "nodes.journal";

/// Below so many bytes nothing is written anew for the sake of what is superseded.
const SMALL: u64 = 16 << 10;

/// What counts of a node: the number of a [`Kind`], and the node's name.
type Key = (u8, String);

/// What is kept of the nodes in a directory that this process has locked.
#[derive(Debug)]
pub struct NodeStore {
    directory: Arc<Directory>,
    book: Mutex<Book>,
}

/// What is known of the journal without reading it.
#[derive(Debug, Default)]
struct Book {
    /// How many bytes the record takes that counts.
    sizes: HashMap<Key, u64>,
    /// How many all of them take.
    live: u64,
    /// How long the journal is; none where it is not known, or is to be written anew.
    length: Option<u64>,
    is_known: bool,
}

/// Something to be kept of a node, in place of what was kept of the same kind; or nothing.
pub struct Entry {
    key: Key,
    is_something: bool,
    record: Zeroizing<Vec<u8>>,
}

impl Entry {
    /// A node's key and chain.
    pub fn credential(node: &NodeName, credential: &Credential) -> Self {
        let key = credential.key().to_der();
        let chain = credential.chain();
        let certificates = std::iter::once(chain.leaf()).chain(chain.issuers());
        let certificates = certificates.map(|certificate| certificate.der().as_ref());
        let parts: Vec<_> = std::iter::once(key.secret_pkcs8_der()).chain(certificates).collect();
        Self::new(Kind::Credential, node.as_str(), &parts)
    }

    /// What a node's certificate in the making needs to be gone on with.
    pub fn pending(node: &NodeName, pending: &[u8]) -> Self {
        Self::new(Kind::Pending, node.as_str(), &[pending])
    }

    /// What was asked for the certificate of a CA of ours.
    pub fn submission(authority: &AuthorityName, submission: &[u8]) -> Self {
        Self::new(Kind::Submission, authority.as_str(), &[submission])
    }

    /// Nothing is asked for a CA of ours any more.
    pub fn no_submission(authority: &AuthorityName) -> Self {
        Self::new(Kind::Submission, authority.as_str(), &[])
    }

    /// Nothing of that kind is kept of the node any more.
    pub fn nothing(kind: Kind, node: &NodeName) -> Self {
        Self::new(kind, node.as_str(), &[])
    }

    fn new(kind: Kind, name: &str, parts: &[&[u8]]) -> Self {
        Self {
            key: (kind.number(), name.to_owned()),
            is_something: !parts.is_empty(),
            record: record::encode(kind, name, parts),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, is_something, record: _ } = self;
        f.debug_struct("Entry")
            .field("key", key)
            .field("is_something", is_something)
            .finish_non_exhaustive()
    }
}

impl NodeStore {
    /// What is kept in a directory; nothing is read yet.
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory, book: Mutex::default() }
    }

    /// Reads what is kept now; nothing is read where nothing is kept of any of `nodes`.
    ///
    /// # Errors
    /// When the journal is there and cannot be read.
    pub fn read<'a>(
        &self,
        nodes: impl IntoIterator<Item = &'a NodeName>,
    ) -> Result<Reading, FilesError> {
        let mut book = self.book();
        let is_kept = |node: &NodeName| {
            book.sizes.contains_key(&(Kind::Credential.number(), node.to_string()))
        };
        if book.is_known && !nodes.into_iter().any(is_kept) {
            return Ok(Reading::default());
        }
        let reading = Reading::of(self.directory.journal(&journal()?)?);
        *book = Book::of(&reading);
        Ok(reading)
    }

    /// What is kept of a node's certificate in the making.
    ///
    /// # Errors
    /// When the journal is there and cannot be read.
    pub fn pending(&self, node: &NodeName) -> Result<Option<Zeroizing<Vec<u8>>>, FilesError> {
        self.one((Kind::Pending.number(), node.to_string()))
    }

    /// What was asked for the certificate of a CA of ours.
    ///
    /// # Errors
    /// When the journal is there and cannot be read.
    pub fn submission(
        &self,
        authority: &AuthorityName,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, FilesError> {
        self.one((Kind::Submission.number(), authority.to_string()))
    }

    /// What is kept in one part. Nothing is read where it is known to be nothing.
    fn one(&self, key: Key) -> Result<Option<Zeroizing<Vec<u8>>>, FilesError> {
        let mut book = self.book();
        if book.is_known && !book.sizes.contains_key(&key) {
            return Ok(None);
        }
        let reading = Reading::of(self.directory.journal(&journal()?)?);
        *book = Book::of(&reading);
        let parts = reading.parts(&key);
        Ok(parts.and_then(|parts| Some(Zeroizing::new(parts.first()?.to_vec()))))
    }

    /// Whether anything of that kind is kept of the node, as far as that is known.
    pub fn is_kept(&self, kind: Kind, node: &NodeName) -> bool {
        self.book().sizes.contains_key(&(kind.number(), node.to_string()))
    }

    /// Keeps all of these durably. Of one kind and node, the last counts.
    ///
    /// # Errors
    /// When the directory refuses; what was kept before is kept still, and of these perhaps some.
    pub fn save(&self, entries: &[Entry]) -> Result<(), FilesError> {
        let mut book = self.book();
        let added: u64 = entries.iter().map(|entry| framed(entry.record.len())).sum();
        let is_worth_it = |length: u64| length + added > SMALL.max(2 * (book.live + added));
        let is_bloated = book.length.is_some_and(is_worth_it);
        if !is_bloated && self.append(&mut book, entries)? {
            return Ok(());
        }
        match self.rewrite(entries) {
            Ok(rewritten) => *book = rewritten,
            // A full disk may have room for these, if not for all.
            Err(_) if is_bloated && self.append(&mut book, entries)? => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Appends to the journal, unless it is to be written anew: because it is damaged, or somebody
    /// else was at it. Then what can be read of it counts.
    fn append(&self, book: &mut Book, entries: &[Entry]) -> Result<bool, FilesError> {
        let Some(length) = book.length else { return Ok(false) };
        let records: Vec<_> = entries.iter().map(|entry| entry.record.as_slice()).collect();
        let length = self.directory.append(&journal()?, length, &records)?;
        if let Some(length) = length {
            book.length = Some(length);
            book.note(entries);
        }
        Ok(length.is_some())
    }

    /// Writes the journal anew, with what counts of it and these.
    fn rewrite(&self, entries: &[Entry]) -> Result<Book, FilesError> {
        let reading = Reading::of(self.directory.journal(&journal()?)?);
        let last: HashMap<_, _> = entries.iter().map(|entry| (&entry.key, entry)).collect();
        let kept = reading.latest.iter().filter(|(key, _)| !last.contains_key(key));
        let mut kept: Vec<_> = kept.map(|(_, number)| *number).collect();
        kept.sort_unstable();
        let kept = kept.into_iter().filter_map(|number| reading.journal.record(number));
        let new = entries.iter().filter(|entry| {
            entry.is_something && last.get(&entry.key).is_some_and(|it| std::ptr::eq(*it, *entry))
        });
        let records: Vec<_> = kept.chain(new.map(|entry| entry.record.as_slice())).collect();
        let length = self.directory.rewrite(&journal()?, &records)?;
        let mut book = Book { length: Some(length), ..Book::of(&reading) };
        book.note(entries);
        Ok(book)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn journal() -> Result<FileName, FilesError> {
    FileName::parse(JOURNAL)
}

impl Book {
    fn of(reading: &Reading) -> Self {
        let size = |number| framed(reading.journal.record(number).map_or(0, <[u8]>::len));
        let sizes: HashMap<_, _> =
            reading.latest.iter().map(|(key, number)| (key.clone(), size(*number))).collect();
        let length = reading.journal.length();
        // One that is not there yet, or is damaged, is written anew.
        let is_whole = length > 0 && !reading.is_damaged();
        let live = sizes.values().sum();
        Self { sizes, live, length: is_whole.then_some(length), is_known: true }
    }

    fn note(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.live -= self.sizes.remove(&entry.key).unwrap_or(0);
            if entry.is_something {
                let size = framed(entry.record.len());
                self.live += size;
                self.sizes.insert(entry.key.clone(), size);
            }
        }
    }
}

/// What was kept when it was read; keys among it are wiped when this is dropped.
#[derive(Debug, Default)]
pub struct Reading {
    journal: Journal,
    /// The number of the record that counts.
    latest: HashMap<Key, usize>,
}

impl Reading {
    fn of(journal: Journal) -> Self {
        let mut latest = HashMap::new();
        for (number, bytes) in journal.records().enumerate() {
            let Some(record) = record::decode(bytes) else { continue };
            let key = (record.kind, record.node.to_owned());
            match record.parts.is_empty() {
                true => latest.remove(&key),
                false => latest.insert(key, number),
            };
        }
        Self { journal, latest }
    }

    /// Whether something in the journal is no whole record: a run was cut short, or the file was
    /// damaged.
    pub fn is_damaged(&self) -> bool {
        self.journal.is_damaged()
    }

    /// What is kept of a node's key and chain. Certificates that are among `known` need not be
    /// parsed: thousands of nodes have the same ones above them.
    pub fn credential(&self, node: &NodeName, known: &[Certificate]) -> Held {
        match self.parts(&(Kind::Credential.number(), node.to_string())) {
            None => Held::Nothing,
            Some(parts) => pair(&parts, known).unwrap_or_else(Held::Damaged),
        }
    }

    fn parts(&self, key: &Key) -> Option<Vec<&[u8]>> {
        let number = self.latest.get(key)?;
        Some(record::decode(self.journal.record(*number)?)?.parts)
    }
}

fn pair(parts: &[&[u8]], known: &[Certificate]) -> Result<Held, Damage> {
    let (key_name, chain_name) = ("the stored key", "the stored chain");
    let [key, chain @ ..] = parts else { return Err(missing(key_name)) };
    let parse = |der: &&[u8]| match known.iter().find(|known| known.der().as_ref() == *der) {
        Some(known) => Ok(known.clone()),
        None => Certificate::from_der(der.to_vec()),
    };
    let chain: Result<Vec<_>, _> = chain.iter().map(parse).collect();
    let chain =
        chain.map_err(|cause| Damage::Certificate { name: chain_name.to_owned(), cause })?;
    let Some(leaf) = chain.first() else { return Err(missing(chain_name)) };
    let key = PrivateKey::from_pkcs8(key)
        .map_err(|cause| Damage::Key { name: key_name.to_owned(), cause })?;
    if key.public().spki() != leaf.spki() {
        let (name, other) = (key_name.to_owned(), chain_name.to_owned());
        return Err(Damage::Mismatch { name, other });
    }
    Ok(Held::Pair { key, chain })
}

fn missing(name: &str) -> Damage {
    Damage::Missing { name: name.to_owned() }
}

#[cfg(test)]
mod tests;
