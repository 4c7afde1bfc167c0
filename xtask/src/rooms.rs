//! The rooms of `src/` and what each may use: the table of `docs/architecture.md`, which is read here and stands nowhere else.

use crate::sh;
use anyhow::{Context, Result, bail, ensure};
use std::fs;

const DOCUMENT: &str = "docs/architecture.md";
/// The table's first line.
const HEAD: &str = "| room | holds | may use |";
/// What every room may use.
const ALWAYS: &str = "error";

/// One line of the table.
pub struct Room {
    pub name: String,
    /// Rooms, or `room::item` for that item alone.
    pub may_use: Vec<String>,
}

/// All of them, lowest first.
pub struct Rooms(Vec<Room>);

impl Rooms {
    pub fn read() -> Result<Rooms> {
        let text = fs::read_to_string(sh::root().join(DOCUMENT)).with_context(|| format!("no {DOCUMENT}"))?;
        Rooms::parse(&text)
    }

    /// Reads the table; a room may use only what stands above it.
    pub fn parse(document: &str) -> Result<Rooms> {
        let (_, table) =
            document.split_once(HEAD).with_context(|| format!("{DOCUMENT} has no table \"{HEAD}\""))?;
        let mut rooms: Vec<Room> = Vec::new();
        for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, _, may_use] = cells[..] else { bail!("{DOCUMENT}: \"{line}\" has not three cells") };
            let name = name.trim_matches('`').to_owned();
            let may_use = allowed(may_use, &rooms)?;
            rooms.push(Room { name, may_use });
        }
        ensure!(!rooms.is_empty(), "{DOCUMENT}: the table of rooms is empty");
        Ok(Rooms(rooms))
    }

    pub fn find(&self, name: &str) -> Option<&Room> {
        self.0.iter().find(|room| room.name == name)
    }

    /// Their names, lowest first, without programs.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|room| room.name.as_str()).filter(|name| !name.contains('/')).collect()
    }
}

impl Room {
    /// Whether it may use a room, or an item of it.
    pub fn may_use(&self, room: &str, item: Option<&str>) -> bool {
        let item = item.map(|item| format!("{room}::{item}"));
        room == ALWAYS || self.may_use.iter().any(|may| may == room || item.as_ref() == Some(may))
    }
}

/// The last cell of a line: names in backticks, or `all above`, perhaps `but` some.
fn allowed(cell: &str, above: &[Room]) -> Result<Vec<String>> {
    let named: Vec<String> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    for name in &named {
        let room = name.split("::").next().unwrap_or_default();
        ensure!(
            above.iter().any(|other| other.name == room),
            "{DOCUMENT}: {room} does not stand above what may use it"
        );
    }
    if !cell.starts_with("all above") {
        return Ok(named);
    }
    Ok(above.iter().map(|room| room.name.clone()).filter(|name| !named.contains(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &str) -> Result<Rooms> {
        Rooms::parse(&format!("# Text\n\n{HEAD}\n|---|---|---|\n{lines}\n\nMore.\n| a | b | `c` |\n"))
    }

    #[test]
    fn the_table_is_read() {
        let rooms = table(
            "| `error` | e | |\n| `plan` | p | |\n| `weights` | w | `plan::Part` |\n| `web` | x | all above but `plan` |\n| `bin/x` | y | all above |",
        )
        .unwrap();
        assert_eq!(rooms.names(), ["error", "plan", "weights", "web"]);
        let weights = rooms.find("weights").unwrap();
        assert!(weights.may_use("plan", Some("Part")) && weights.may_use("error", None));
        assert!(!weights.may_use("plan", Some("Plan")) && !weights.may_use("plan", None));
        let web = rooms.find("web").unwrap();
        assert!(web.may_use("weights", None) && !web.may_use("plan", None));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        assert!(table("| `a` | x | `b` |\n| `b` | y | |").is_err());
        assert!(table("| `a` | x |").is_err());
        assert!(table("").is_err());
        assert!(Rooms::parse("nothing").is_err());
    }
}
