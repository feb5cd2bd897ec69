//! CloudFormation's helper scripts, where Amazon Linux has them: templates call them by their full paths in user data; and its command
//! that shows an instance's metadata.

use super::Tree;
use crate::error::{Act, Result};
use std::os::unix::fs::symlink;

/// Where the scripts and what they share are.
const LIBRARY: &str = "/opt/aws/lib/cfn";
/// The files.
const FILES: [(&str, &str); 7] = [
    ("cfn_common.py", include_str!("cfn/cfn_common.py")),
    ("cfn_get_metadata.py", include_str!("cfn/cfn_get_metadata.py")),
    ("cfn_hup.py", include_str!("cfn/cfn_hup.py")),
    ("cfn_init.py", include_str!("cfn/cfn_init.py")),
    ("cfn_mustache.py", include_str!("cfn/cfn_mustache.py")),
    ("cfn_signal.py", include_str!("cfn/cfn_signal.py")),
    ("cfn_tools.py", include_str!("cfn/cfn_tools.py")),
];
/// The names that they are called by.
const SCRIPTS: [&str; 4] = ["cfn-get-metadata", "cfn-hup", "cfn-init", "cfn-signal"];
/// The service that templates enable.
const HUP: &str = "[Unit]\nDescription=cfn-hup\n[Service]\nType=simple\nExecStart=/opt/aws/bin/cfn-hup\nRestart=always\n[Install]\nWantedBy=multi-user.target\n";

impl Tree<'_> {
    /// Puts them in place.
    pub(super) fn helpers(&self) -> Result<()> {
        for (name, text) in FILES {
            self.write(&format!("{LIBRARY}/{name}"), text, if text.starts_with("#!") { 0o755 } else { 0o644 })?;
        }
        self.directory("/opt/aws/bin", 0o755)?;
        for name in SCRIPTS {
            let target = format!("{LIBRARY}/{}.py", name.replace('-', "_"));
            symlink(target, self.at("/opt/aws/bin").join(name)).act("link", name)?;
        }
        self.write("/usr/bin/ec2-metadata", include_str!("ec2-metadata"), 0o755)?;
        self.write("/usr/lib/systemd/system/cfn-hup.service", HUP, 0o644)
    }
}
