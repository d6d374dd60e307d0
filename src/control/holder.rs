//! Which program holds a port, from /proc, for the one error message that asks.
//! Never: a privilege; another user's program stays unnamed.
//! Next: `start`, the asker.

use std::fs;

/// `nginx (pid 812)` for the program that listens on `port`, when /proc shows it to us.
pub fn find(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let holds = fs::read_dir(process.path().join("fd")).ok()?.flatten().any(|descriptor| {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            inodes.iter().any(|inode| target.as_os_str() == inode.as_str())
        });
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        holds.then(|| format!("{} (pid {pid})", name.trim().escape_debug()))
    })
}

/// Inodes of the listening sockets of a port, from the text of /proc/net/tcp: `sl local remote st ... inode`.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, local) = fields.get(1)?.rsplit_once(':')?;
            let is_it = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN;
            is_it.then(|| fields.get(9)?.parse().ok()).flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_listening_sockets_of_a_port_only() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41 1 0 100 0 0 10 0\n\
             1: 0100007F:20FB 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 42 1 0 20 4 0 10 -1\n\
             2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 43 1 0 100 0 0 10 0\n\
             3: garbage\n";
        assert_eq!(listening_inodes(table, 8443), [41]);
        assert_eq!(listening_inodes(table, 80), [43]);
        assert!(listening_inodes(table, 81).is_empty());
        assert!(listening_inodes("", 80).is_empty());
    }
}
