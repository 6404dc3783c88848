//! Writes the reference pages into a folder: `cargo run --example reference -- docs`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("docs"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for (name, page) in supercargo::cli::reference::pages() {
        std::fs::write(folder.join(name), page)?;
    }
    Ok(())
}
