package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are what is typed, word for word, by command. Words that explain one stand behind a #, as in a shell.
var examples = map[string][]string{
	"": {
		"sunspool demo                   # see it work, nothing needed",
		"sunspool probe                  # find the inverter",
		"sudo sunspool setup             # make this machine an edge or a server",
	},
	"demo": {
		"sunspool demo --open",
		"sunspool demo --scenario winter --days 30",
		"sunspool demo --lan             # for a phone in the same network",
	},
	"edge": {
		"sudo sunspool setup --role edge    # asks, and starts it as a service",
		"sunspool check edge                # what is wrong with its settings",
		"SPOOL_PATH=spool.db sunspool edge --sungrow-host 192.168.1.100 \\",
		"    --vps-base-url https://solar.example.org \\",
		"    --vps-device-token-file token",
	},
	"vps": {
		"sudo sunspool setup --role server    # asks, and starts it as a service",
		"sunspool check vps                   # what is wrong with its settings",
		"DEVICE_TOKENS=store sunspool vps --data-dir data --tls-self",
	},
	"vps aside":        {"sudo sunspool vps aside list roof"},
	"vps aside list":   {"sudo sunspool vps aside list roof", "sudo sunspool vps aside list roof --json"},
	"vps aside delete": {"sudo sunspool vps aside delete roof", "sudo sunspool vps aside delete roof --to 17"},
	"vps link":         {"sudo sunspool vps link https://solar.example.org", "sudo sunspool vps link https://solar.example.org --device roof"},
	"vps pair": {
		"sudo sunspool vps pair    # then type what it prints at the edge",
		"sudo sunspool vps pair --device garage",
		"sudo sunspool vps pair --url https://solar.example.org --json",
	},
	"vps fingerprint": {"sudo sunspool vps fingerprint", "sudo sunspool vps fingerprint --certificate > server.pem"},
	"vps backup":      {"sudo sunspool vps backup /mnt/usb/vps.db", "sudo sunspool vps backup - | ssh nas 'cat > vps.db'"},
	"vps verify":      {"sunspool vps verify /mnt/usb/vps.db"},
	"vps restore": {
		"sudo systemctl stop sunspool-vps",
		"sudo sunspool vps restore /mnt/usb/vps.db",
		"sudo systemctl start sunspool-vps",
	},
	"vps copy": {
		"sudo sunspool vps copy --from /var/lib/sunspool/vps --to @/root/pg",
		"sudo sunspool vps copy --from @/root/pg --to /backup/vps --compare",
	},
	"vps import": {
		"PGPASSWORD=... sunspool vps import --from postgres://db/sungrow",
		"PGPASSWORD=... sunspool vps import --from postgres://db/sungrow --check",
	},
	"token": {"sudo sunspool token list", "sudo sunspool token create --help"},
	"token create": {
		"sudo sunspool token create --role viewer --device '*' --name Family",
		"sudo sunspool token create --role device --device roof --name Edge",
		"sudo sunspool token create --role admin --name Installer --expires 30d",
	},
	"token list":   {"sudo sunspool token list", "sudo sunspool token list --json"},
	"token revoke": {"sudo sunspool token revoke Family"},
	"site":         {"sudo sunspool site set home --device roof,garage", "sudo sunspool site list"},
	"site set":     {"sudo sunspool site set home --device roof,garage"},
	"site list":    {"sudo sunspool site list", "sudo sunspool site list --json"},
	"site remove":  {"sudo sunspool site remove home"},
	"setup": {
		"sudo sunspool setup    # asks",
		"sudo sunspool setup --role all --inverter 192.168.1.100 --yes",
		"sudo sunspool setup --role server --print",
	},
	"status": {
		"sudo sunspool status",
		"sudo sunspool status --watch",
		"sudo sunspool status --check || echo 'look at the roof'",
	},
	"probe": {
		"sunspool probe                           # which dongles are there?",
		"sunspool probe --scan 192.168.1.0/24     # what answers in it?",
		"sunspool probe 192.168.1.100 --repeat 20 # does it fail at times?",
	},
	"simulate": {
		"sunspool simulate",
		"sunspool simulate --model SH4.0RS --no-meter --fault slow=2s",
		"sunspool simulate --image real-sh15t-evening-discharging",
	},
	"check":   {"sunspool check edge", "sunspool check vps"},
	"service": {"sudo sunspool service install edge", "sudo sunspool service start edge", "sunspool service status edge"},
	"spool":   {"sudo sunspool spool list", "sudo sunspool spool quarantine"},
	"spool list": {
		"sudo sunspool spool list",
		"sudo sunspool spool list --json",
	},
	"spool show": {
		"sudo sunspool spool show --limit 10",
		"sudo sunspool spool show --quarantine --json",
		"sudo sunspool spool show --delivered --from 2026-06-21 --to 2026-06-22",
	},
	"spool count": {
		"sudo sunspool spool count",
		"sunspool spool count copy.db",
	},
	"spool quarantine": {
		"sudo sunspool spool quarantine",
		"sudo sunspool spool quarantine --json",
		"sunspool spool quarantine copy.db",
	},
	"spool verify": {"sudo sunspool spool verify", "sunspool spool verify copy.db"},
	"spool requeue": {
		"sudo sunspool spool requeue --all",
		"sudo sunspool spool requeue --code too_large,out_of_range",
	},
	"spool export": {
		"sudo sunspool spool export --quarantine --output refused.json",
		"sudo sunspool spool export --format csv --from 2026-06-21 > day.csv",
	},
	"spool drop": {
		"sudo sunspool spool export --quarantine --output refused.json",
		"sudo sunspool spool drop --exported refused.json",
	},
	"export": {
		"sudo sunspool export --from 2026-01-01 --to 2026-12-31 > year.csv",
		"sudo sunspool export --from 2026-06-21 --to 2026-06-21 --resolution 5m",
		"sunspool export --server https://solar.example.org --token-file token \\",
		"    --from 2026-06-01 --to 2026-06-30 --format json --output june.json",
	},
	"doctor": {
		"sudo sunspool doctor",
		"sudo sunspool doctor upload",
		"sudo sunspool doctor --bundle help.tar.gz    # to send to who helps",
	},
	"health":     {"sunspool health edge", "sunspool health vps --listen 127.0.0.1:8000"},
	"env":        {"sunspool env edge", "sunspool env vps > vps.env"},
	"version":    {"sunspool version"},
	"help":       {"sunspool help probe", "sunspool help token create"},
	"completion": {"source <(sunspool completion bash)", "sunspool completion fish > ~/.config/fish/completions/sunspool.fish"},
}

// Examples are lines that use cmd.
func Examples(cmd *cobra.Command) []string {
	_, after, _ := strings.Cut(cmd.CommandPath(), " ")
	return examples[after]
}
