//! The one place where tests can watch, fail or "kill" a run: before each call that changes the
//! file system. Outside of tests there is nothing here.

use std::ffi::OsStr;
use std::path::Path;

use rustix::io::Errno;

#[cfg(not(test))]
#[inline(always)]
pub(super) fn step(_operation: &'static str, _folder: &Path, _name: &OsStr) -> Result<(), Errno> {
    Ok(())
}

#[cfg(test)]
pub(super) use hook::{Step, step, with_hook};

#[cfg(test)]
mod hook {
    use std::cell::RefCell;
    use std::path::PathBuf;

    use super::{Errno, OsStr, Path};

    /// A call that is about to be made.
    pub(in crate::files) struct Step {
        pub(in crate::files) operation: &'static str,
        /// What it changes; the directory itself where the call has no name in it.
        pub(in crate::files) path: PathBuf,
    }

    type Hook = Box<dyn FnMut(Step) -> Result<(), Errno>>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    pub(in crate::files) fn step(
        operation: &'static str,
        folder: &Path,
        name: &OsStr,
    ) -> Result<(), Errno> {
        let path = if name.is_empty() { folder.to_owned() } else { folder.join(name) };
        HOOK.with_borrow_mut(|hook| {
            hook.as_mut().map_or(Ok(()), |hook| hook(Step { operation, path }))
        })
    }

    /// Runs `body` with `hook` called before each step that this thread takes.
    pub(in crate::files) fn with_hook<T>(
        hook: impl FnMut(Step) -> Result<(), Errno> + 'static,
        body: impl FnOnce() -> T,
    ) -> T {
        HOOK.set(Some(Box::new(hook)));
        let outcome = body();
        HOOK.set(None);
        outcome
    }
}
