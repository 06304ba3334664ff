//! Keeps a copy of a store before a newer version changes it.
//! Owns: where the copy is and that it is whole. Uses: disk. Never: what a value means.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::store::Error;

use super::disk::Disk;
use super::format::FORMAT;

/// Copies the database and the spill file to a directory beside them, in place of an earlier copy. Blocks.
pub(super) fn keep_copy(dir: &Path, disk: &Disk) -> Result<(), Error> {
    let name = format!("before-format-{FORMAT}");
    let (copy, unfinished) = (dir.join(&name), dir.join(format!("{name}.unfinished")));
    disk.aside(|database| {
        remove(&unfinished)?;
        fs::create_dir(&unfinished)?;
        copy_all(database, &unfinished.join("sled"))?;
        let spill = dir.join("spill");
        if spill.exists() {
            copy_file(&spill, &unfinished.join("spill"))?;
        }
        File::open(&unfinished)?.sync_all()?;
        remove(&copy)?;
        fs::rename(&unfinished, &copy)?;
        File::open(dir)?.sync_all()
    })
    .map_err(|error| match error {
        Error::Unwritable(reason) => {
            Error::Unwritable(format!("the copy before the upgrade: {reason}").into())
        }
        other => other,
    })?;
    tracing::warn!(copy = %copy.display(),
        "the store is brought to format {FORMAT}, which older versions cannot read; to go back, stop the server and put `sled` and `spill` of the copy in their place");
    Ok(())
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            copy_file(&entry.path(), &target)?;
        }
    }
    File::open(to)?.sync_all()
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}
