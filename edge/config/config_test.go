package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sunspool/edge/token"
	"sunspool/internal/race"
	"sunspool/settings"
)

// goodConfig is a set of settings that can work, in a directory of its own.
func goodConfig(t *testing.T) Config {
	t.Helper()
	for _, name := range slices.Concat(proxyVariables, exemptVariables) {
		t.Setenv(name, "")
	}
	return Config{
		Host: "192.168.1.7", Port: 502, Unit: 1, PollS: 5, GapMS: 20, URL: "https://vps.example.org", Token: "0123456789abcdef",
		BatchSize: 30, UploadS: 10, MaxBackoffS: 300, SpoolPath: filepath.Join(t.TempDir(), "spool.db"), RawDebugEach: 60,
	}
}

// refusal is what Validate finds wrong after change, "" for nothing.
func refusalOf(t *testing.T, change func(*Config)) string {
	t.Helper()
	c := goodConfig(t)
	change(&c)
	if err := c.Validate(); err != nil {
		return err.Error()
	}
	return ""
}

// What a router's page, a browser, a compose file or a text from Windows brings with a host is refused, and what to
// write instead is named.
func TestHostIsANameOrAnAddressAlone(t *testing.T) {
	race.Skip(t, "it reads settings")
	for host, instead := range map[string]string{
		"192.168.1.7:502":              "SUNGROW_HOST=192.168.1.7 and SUNGROW_PORT=502",
		"dongle.lan:1502":              "SUNGROW_HOST=dongle.lan and SUNGROW_PORT=1502",
		"192.168.1.7:":                 "SUNGROW_HOST=192.168.1.7",
		"[fe80::1]":                    "SUNGROW_HOST=fe80::1",
		"[fe80::1%25eth0]:502":         "SUNGROW_HOST=fe80::1%eth0 and SUNGROW_PORT=502",
		"fe80::1%25eth0":               "SUNGROW_HOST=fe80::1%eth0",
		`"192.168.1.7"`:                "SUNGROW_HOST=192.168.1.7",
		"'dongle'":                     "SUNGROW_HOST=dongle",
		"“192.168.1.7”":                "SUNGROW_HOST=192.168.1.7",
		"192.168.1.7\r":                "SUNGROW_HOST=192.168.1.7",
		"192.168.1.7\n":                "SUNGROW_HOST=192.168.1.7",
		"\t192.168.1.7":                "SUNGROW_HOST=192.168.1.7",
		" 192.168.1.7":                 "SUNGROW_HOST=192.168.1.7",
		"192.168.1.7 ":                 "SUNGROW_HOST=192.168.1.7",
		"192.168.1.7 # on the roof":    "SUNGROW_HOST=192.168.1.7",
		"192.168.1.7\u200b":            "SUNGROW_HOST=192.168.1.7",
		"192.168.1.7\u00a0":            "SUNGROW_HOST=192.168.1.7",
		"\ufeff192.168.1.7":            "SUNGROW_HOST=192.168.1.7",
		"http://192.168.1.7":           "SUNGROW_HOST=192.168.1.7",
		"tcp://192.168.1.7:502/":       "SUNGROW_HOST=192.168.1.7 and SUNGROW_PORT=502",
		"192.168.1.7/index.html":       "SUNGROW_HOST=192.168.1.7",
		"192.168.1.0/24":               "SUNGROW_HOST=192.168.1.0",
		"user@192.168.1.7":             "SUNGROW_HOST=192.168.1.7",
		"http://admin:secret@dongle/x": "SUNGROW_HOST=dongle",
		"192.168.1.7,192.168.1.8":      "",
		"192.168.1.300":                "",
		"192.168.1":                    "",
		"192.168.001.007":              "",
		"1.2.3.4.5":                    "",
		"0.0.0.0":                      "",
		"::":                           "",
		"255.255.255.255":              "",
		"224.0.0.1":                    "",
		"dongle..lan":                  "",
		"-dongle":                      "",
		"wechselrichter dach":          "SUNGROW_HOST=wechselrichter",
		"müller.local":                 "",
		"${SUNGROW_HOST}":              "",
		"<address>":                    "",
		"fe80::1::2":                   "",
		strings.Repeat("a", 64):        "",
	} {
		got := refusalOf(t, func(c *Config) { c.Host = host })
		if !strings.Contains(got, "SUNGROW_HOST") || !strings.Contains(got, instead) || strings.Contains(got, "secret") || strings.Count(got, "\n") > 0 {
			t.Errorf("%q: %q, want %q", host, got, instead)
		}
	}
	for host, address := range map[string]string{
		"192.168.1.7": "192.168.1.7:502", "dongle": "dongle:502", "WiNet-S_1.fritz.box": "WiNet-S_1.fritz.box:502", "dongle.lan.": "dongle.lan.:502",
		"fe80::1": "[fe80::1]:502", "fe80::1%eth0": "[fe80::1%eth0]:502", "::1": "[::1]:502", "2001:db8::7": "[2001:db8::7]:502", "localhost": "localhost:502",
	} {
		c := goodConfig(t)
		c.Host = host
		if err := c.Validate(); err != nil || c.Address() != address {
			t.Errorf("%q: %v, %s", host, err, c.Address())
		}
	}
}

func TestServerIsAtTheTopOfAnHTTPSHost(t *testing.T) {
	race.Skip(t, "it reads settings")
	for url, says := range map[string]string{
		"":                                    "missing",
		"https://":                            "no host",
		"https://:8443":                       "no host",
		"https:///":                           "no host",
		"https://host:99999":                  "99999",
		"https://host:0":                      "not 1 to 65535",
		"https://host:":                       "no port",
		"https://host:8443:1":                 "VPS_BASE_URL",
		"https://host:port":                   "VPS_BASE_URL",
		"https://host/v1/ingest":              "write VPS_BASE_URL=https://host",
		"https://host:8443/v1/ingest/":        "write VPS_BASE_URL=https://host:8443",
		"https://host/solar":                  "write VPS_BASE_URL=https://host",
		"https://host?x=1":                    "write VPS_BASE_URL=https://host",
		"https://host#x":                      "write VPS_BASE_URL=https://host",
		"https://user:hunter2@host":           "write VPS_BASE_URL=https://host",
		"http://host":                         "must be https",
		"HTTP://host":                         "must be https",
		"ftp://host":                          "must be https",
		"host":                                "https://",
		"host:8443":                           "https://",
		"https:host":                          "https://",
		"https://https://host":                "VPS_BASE_URL",
		`"https://host"`:                      "write VPS_BASE_URL=https://host",
		"https://host\r":                      "write VPS_BASE_URL=https://host",
		"https://host ":                       "write VPS_BASE_URL=https://host",
		"https://ho st":                       "VPS_BASE_URL",
		"https://0.0.0.0":                     "0.0.0.0",
		"https://192.168.1.300":               "192.168.1.300",
		"https://<your server>":               "VPS_BASE_URL",
		"https://fe80::1":                     "VPS_BASE_URL",
		"https://a.example.org,b.example.org": "VPS_BASE_URL",
	} {
		if got := refusalOf(t, func(c *Config) { c.URL = url }); !strings.Contains(got, "VPS_BASE_URL") || !strings.Contains(got, says) || strings.Contains(got, "hunter2") || strings.Count(got, "\n") > 0 {
			t.Errorf("%q: %q, want %q", url, got, says)
		}
	}
	for _, url := range []string{"https://host", "https://host/", "https://vps.example.org:8443", "https://192.0.2.7", "https://[2001:db8::7]:8443", "HTTPS://host"} {
		if got := refusalOf(t, func(c *Config) { c.URL = url }); got != "" {
			t.Errorf("%q: %s", url, got)
		}
	}
}

func TestFilesOfTheEdgeAreNotWrittenOverEachOther(t *testing.T) {
	race.Skip(t, "it reads settings")
	dir := t.TempDir()
	spool := filepath.Join(dir, "spool.db")
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(name, target string) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Chdir(dir)
	toSpool, toToken, toDir := link("to-spool", "spool.db"), link("to-token", token), link("to-dir", ".")
	second := filepath.Join(dir, "second")
	if err := os.Link(token, second); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"HEALTH_PATH is the spool":                 func(c *Config) { c.HealthPath = spool },
		"HEALTH_PATH is its mark":                  func(c *Config) { c.HealthPath = spool + ".exists" },
		"HEALTH_PATH is a new spool":               func(c *Config) { c.HealthPath = spool + ".new" },
		"HEALTH_PATH is a mended spool":            func(c *Config) { c.HealthPath = spool + ".salvaged" },
		"HEALTH_PATH is a smaller spool":           func(c *Config) { c.HealthPath = spool + ".compact" },
		"HEALTH_PATH is the lock":                  func(c *Config) { c.HealthPath = spool + ".lock" },
		"HEALTH_PATH is the reserve":               func(c *Config) { c.HealthPath = spool + ".ballast" },
		"HEALTH_PATH is the last poll":             func(c *Config) { c.HealthPath = spool + ".last-poll" },
		"HEALTH_PATH is what the last poll was":    func(c *Config) { c.HealthPath = spool + ".last-poll.new" },
		"HEALTH_PATH is a damaged spool":           func(c *Config) { c.HealthPath = spool + ".damaged-3" },
		"HEALTH_PATH is relative":                  func(c *Config) { c.HealthPath = "./x/../spool.db" },
		"HEALTH_PATH is a link":                    func(c *Config) { c.HealthPath = toSpool },
		"HEALTH_PATH is in a linked directory":     func(c *Config) { c.HealthPath = toDir + "/spool.db.new" },
		"HEALTH_PATH becomes the spool by .new":    func(c *Config) { c.HealthPath, c.SpoolPath = dir+"/x", dir+"/x.new" },
		"HEALTH_PATH is the token":                 func(c *Config) { c.Token, c.TokenFile, c.HealthPath = "", token, token },
		"HEALTH_PATH is a link to the token":       func(c *Config) { c.Token, c.TokenFile, c.HealthPath = "", token, toToken },
		"HEALTH_PATH is another name of the token": func(c *Config) { c.Token, c.TokenFile, c.HealthPath = "", token, second },
		"HEALTH_PATH is a directory":               func(c *Config) { c.HealthPath = dir },
		"HEALTH_PATH ends in a slash":              func(c *Config) { c.HealthPath = dir + "/health/" },
		"HEALTH_PATH has quotes":                   func(c *Config) { c.HealthPath = `"/run/health.json"` },
		"STATUS_SOCKET is the spool":               func(c *Config) { c.Socket = spool },
		"STATUS_SOCKET is beside the spool":        func(c *Config) { c.Socket = spool + ".new" },
		"STATUS_SOCKET is the health file":         func(c *Config) { c.HealthPath, c.Socket = dir+"/x", dir+"/x" },
		"STATUS_SOCKET is a directory":             func(c *Config) { c.Socket = dir },
		"STATUS_SOCKET is a file":                  func(c *Config) { c.Socket = token },
		"STATUS_SOCKET is too long":                func(c *Config) { c.Socket = dir + "/" + strings.Repeat("s", 200) },
		"SPOOL_PATH is a directory":                func(c *Config) { c.SpoolPath = dir },
		"SPOOL_PATH ends in a slash":               func(c *Config) { c.SpoolPath = dir + "/spool/" },
		"SPOOL_PATH is below a file":               func(c *Config) { c.SpoolPath = token + "/spool.db" },
		"SPOOL_PATH is a device":                   func(c *Config) { c.SpoolPath = os.DevNull },
		"SPOOL_PATH ends in CR":                    func(c *Config) { c.SpoolPath = spool + "\r" },
		"VPS_DEVICE_TOKEN_FILE is the spool":       func(c *Config) { c.Token, c.TokenFile, c.SpoolPath = "", token, token },
		"VPS_CA_FILE is the spool":                 func(c *Config) { c.CAFile = c.SpoolPath },
		"REGISTER_MAP is a directory":              func(c *Config) { c.RegisterMap = dir },
		"REGISTER_MAP is the health file":          func(c *Config) { c.HealthPath, c.RegisterMap = dir+"/x", dir+"/x" },
	} {
		got := refusalOf(t, func(c *Config) { c.SpoolPath = spool; change(c) })
		if setting, _, _ := strings.Cut(name, " "); !strings.Contains(got, setting) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, change := range map[string]func(*Config){
		"defaults":                    func(*Config) {},
		"another spool":               func(c *Config) { c.SpoolPath = dir + "/roof.db" },
		"a spool without ending":      func(c *Config) { c.SpoolPath = dir + "/roof" },
		"a health file of that name":  func(c *Config) { c.HealthPath = spool + ".json" },
		"a health file elsewhere":     func(c *Config) { c.HealthPath = t.TempDir() + "/spool.db" },
		"a token file":                func(c *Config) { c.Token, c.TokenFile = "", token },
		"a token file by a link":      func(c *Config) { c.Token, c.TokenFile = "", toToken },
		"a socket nobody asked for":   func(c *Config) { c.SpoolPath = dir + "/" + strings.Repeat("deep/", 30) + "spool.db" },
		"a directory that is not yet": func(c *Config) { c.SpoolPath = dir + "/data/spool.db" },
	} {
		if got := refusalOf(t, func(c *Config) { c.SpoolPath = spool; change(c) }); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestTokenIsATokenAlone(t *testing.T) {
	race.Skip(t, "it reads settings")
	const good = "0123456789abcdef"
	for name, text := range map[string]string{
		"empty": "", "one character": "1", "fifteen": good[:15], "in quotes": `"` + good + `"`, "in other quotes": "'" + good + "'",
		"half in quotes": `"` + good, "a setting": "VPS_DEVICE_TOKEN=" + good, "a setting of the server": "DEVICE_TOKENS=" + good + ":roof",
		"in lower case": "token=" + good, "exported": "export VPS_DEVICE_TOKEN=" + good, "two lines": good + "\n" + good, "CR within": good + "\r\n# mine",
		"a header": "Bearer " + good, "a hash": "sha256:" + strings.Repeat("0123456789abcdef", 4), "not ASCII": good + "é",
	} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		inFile := refusalOf(t, func(c *Config) { c.Token, c.TokenFile = "", file })
		inVariable := refusalOf(t, func(c *Config) { c.Token = settings.Secret(text) })
		if !strings.Contains(inFile, "VPS_DEVICE_TOKEN_FILE") || !strings.Contains(inVariable, "VPS_DEVICE_TOKEN") {
			t.Errorf("%s: %q and %q", name, inFile, inVariable)
		}
		if strings.Contains(inFile+inVariable, good) || strings.Contains(inFile+inVariable, good[:15]) {
			t.Errorf("%s: the token is repeated: %s %s", name, inFile, inVariable)
		}
	}
	for _, text := range []string{good, good + "\n", good + "\r\n", "ab_cd-token_0123456789==", "a=b0123456789abcd", "x:y/0123456789abcd+"} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := refusalOf(t, func(c *Config) { c.Token, c.TokenFile = "", file }); got != "" {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestProxyThatNoUploadCanUseIsRefused(t *testing.T) {
	for _, value := range []string{"http://proxy:99999", "http://proxy:x", "://", "http://", "ftp://proxy:21", "http://user:hunter2@pro xy", "\"http://proxy:3128\"",
		"http://proxy:3128\r", "http://%zz", "proxy:abc", "http://:3128", "socks4://proxy:1080"} {
		for _, name := range proxyVariables {
			got := refusalOf(t, func(*Config) { t.Setenv(name, value) })
			if !strings.Contains(got, name) || strings.Contains(got, "hunter2") {
				t.Errorf("%s=%s: %q", name, value, got)
			}
		}
	}
	for _, value := range []string{"http://proxy:3128", "proxy:3128", "proxy", "https://user:hunter2@proxy", "socks5://127.0.0.1:1080", "socks5h://proxy:1080", "http://[::1]:3128/"} {
		if got := refusalOf(t, func(*Config) { t.Setenv("HTTPS_PROXY", value) }); got != "" {
			t.Errorf("%s: %s", value, got)
		}
	}
}

// A service manager's credential is a file, too, but none that a setting names.
func TestCredentialIsNamed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if err := os.WriteFile(filepath.Join(dir, token.Credential), []byte("short"), 0o400); err != nil {
		t.Fatal(err)
	}
	if got := refusalOf(t, func(c *Config) { c.Token = "" }); !strings.Contains(got, "the credential vps-device-token: the token has 5 characters") {
		t.Error(got)
	}
}

// A long interval with a small batch keeps up: batches follow each other without a pause, and grow, while any are left.
func TestIntervalAndBatchOfAnySizeAreAccepted(t *testing.T) {
	if got := refusalOf(t, func(c *Config) { c.UploadS, c.BatchSize = 3600, 1 }); got != "" {
		t.Error(got)
	}
}

func TestMetricsAddressIsOfTheLoopbackUnlessItIsAnother(t *testing.T) {
	for text, want := range map[string]string{
		"9517": "127.0.0.1:9517", ":9517": "127.0.0.1:9517", "0.0.0.0:9517": "0.0.0.0:9517", "[::1]:9517": "[::1]:9517", "localhost:9517": "localhost:9517",
		"": "", "x": "", "0": "", ":0": "", "127.0.0.1": "", "127.0.0.1:": "", "127.0.0.1:http": "", "70000": "", "-1": "", "::1:9517": "",
	} {
		got, err := MetricsAddr(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("METRICS_ADDR=%s is %q, %v; want %q", text, got, err, want)
		}
	}
}

// A file that is there and wrong is an error at the start, and so is a credential that the service manager did not give.
func TestFileThatIsWrongIsAnErrorAtTheStart(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for setting, change := range map[string]func(*Config){
		"VPS_DEVICE_TOKEN_FILE": func(c *Config) { c.Token, c.TokenFile = "", bad },
		"VPS_CA_FILE":           func(c *Config) { c.CAFile = bad },
		"REGISTER_MAP":          func(c *Config) { c.RegisterMap = bad },
		"a file":                func(c *Config) { c.CAFile = filepath.Join(bad, "ca.pem") },
	} {
		if got := refusalOf(t, change); got == "" || setting != "a file" && !strings.Contains(got, setting) {
			t.Errorf("%s: %q", setting, got)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Join(dir, "none"))
	if got := refusalOf(t, func(c *Config) { c.Token = "" }); !strings.Contains(got, "the credential") {
		t.Errorf("the credential: %q", got)
	}
}
