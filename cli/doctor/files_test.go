package doctor

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/internal/checklist"
)

// reads lets a unit read these files beside its own, as a drop-in with EnvironmentFile= does.
func reads(unit map[string]string, own string, more ...string) {
	lines := []string{settingsDir + "/" + own + " (ignore_errors=no)"}
	for _, file := range more {
		path, optional := strings.CutPrefix(file, "-")
		lines = append(lines, path+map[bool]string{false: " (ignore_errors=no)", true: " (ignore_errors=yes)"}[optional])
	}
	unit["EnvironmentFiles"] = strings.Join(lines, "\nEnvironmentFiles=")
}

// A drop-in names a further file of settings: what the service has is looked at, not what its own file says.
func TestSettingsOfDropInsAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		files      []string
		text       string // of /etc/house.env
		area, code string
		state      checklist.State
		says       string
	}{
		"the last has the last word": {[]string{"/etc/house.env"}, "DEVICE_ID=shed roof\n", "config", "config_invalid", checklist.Fail, "/etc/house.env: the edge cannot start"},
		"a word that nothing reads":  {[]string{"/etc/house.env"}, "DEVICE_IDD=shed\n", "config", "setting_unknown", checklist.Warn, "DEVICE_IDD"},
		"of a pattern":               {[]string{"/etc/house*.env"}, "DEVICE_IDD=shed\n", "config", "setting_unknown", checklist.Warn, "DEVICE_IDD"},
		"one is missing":             {[]string{"/etc/none.env"}, "", "config", "config_invalid", checklist.Fail, "none.env"},
		"one may be missing":         {[]string{"-/etc/none.env"}, "", "config", "", checklist.OK, "can be used"},
		"no settings":                {[]string{"/etc/house.env"}, "what is this\n", "config", "config_invalid", checklist.Fail, "house.env"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			reads(p.unit, "edge.env", c.files...)
			p.write("/etc/house.env", c.text)
			r, text := p.examine("config")
			if !r.names(c.area, c.code, c.state) || !strings.Contains(strings.Join(strings.Fields(text), " "), c.says) {
				t.Errorf("want %s and %q:\n%s", c.code, c.says, text)
			}
		})
	}
}

// What mends a setting is done to the file that has the last word about it.
func TestTheFileOfADropInIsMended(t *testing.T) {
	p := withVPS(t).socket(200, liveRoof)
	reads(p.vpsUnit, "vps.env", "/etc/house.env")
	p.write("/etc/house.env", "LISTEN_ADDR=192.0.2.9:8443\n")
	r, text := p.examine("")
	if !r.names("service", "listen_elsewhere", checklist.Fail) || !strings.Contains(strings.Join(strings.Fields(text), " "), "/etc/house.env # then") {
		t.Errorf("%s", text)
	}
}

// A secret of such a file is in no bundle, whether the file can be read as settings or not.
func TestSecretsOfDropInsAreMasked(t *testing.T) {
	const secret = "my-own-token-that-is-not-of-ours-4711"
	for _, rest := range []string{"", "what is this\n"} {
		p := newPatient(t)
		reads(p.unit, "edge.env", "/etc/house.env")
		p.write("/etc/house.env", "VPS_DEVICE_TOKEN="+secret+"\n"+rest)
		p.journal = "the token is " + secret + "\n"
		p.prepare()
		file := filepath.Join(t.TempDir(), "b.tar.gz")
		if err := (Doctor{Version: "1.2.3", Out: io.Discard, Machine: p.machine}).Do(t.Context(), Config{Bundle: file}); err != nil && rest == "" {
			t.Fatal(err)
		}
		for name, text := range unpacked(t, file) {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows the token:\n%s", name, text)
			}
		}
	}
}
