package doctor

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sunspool/edge/inverter"
	"sunspool/settings"
)

const hidden = "(secret)"

// masker takes out of a text what must not leave the machine: the secrets and serial numbers that its settings have, in each form
// in which a log may have them, and whatever looks like one.
type masker struct {
	replace *strings.Replacer
}

// patterns are what secrets look like, and what remains of them.
var patterns = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), hidden},
	{regexp.MustCompile(`\bss([dva])_[0-9A-Za-z]{6,}`), "ss${1}_" + hidden},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[0-9A-Za-z+/=._~-]{6,}`), "$1 " + hidden},
	{regexp.MustCompile(`://[^/\s"'@]*@`), "://" + hidden + "@"},
	{regexp.MustCompile(`#t=[^\s"'&]+`), "#t=" + hidden},
	{regexp.MustCompile(`(?i)([?&](?:token|access_token|auth|key|t)=)[^&\s"'#]+`), "$1" + hidden},
	{regexp.MustCompile(`(?i)((?:token|password|passwd|secret)s?(?:=|"\s*:\s*"))[^\s"',&}(]+`), "$1" + hidden},
	{regexp.MustCompile(`(?i)\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}(?:(?:-[0-9A-Z]{4}){4})?\b`), hidden},
	{regexp.MustCompile(`(--pair[= ])\S+`), "$1" + hidden},
}

// serialNumber is what the serial number of an inverter looks like: A22B1234567.
var serialNumber = regexp.MustCompile(`\b[A-Z][0-9]{2}[0-9A-Z][0-9]{6,8}\b`)

// mask returns text without what must not leave the machine.
func (m masker) mask(text string) string {
	text = m.replace.Replace(text)
	for _, p := range patterns {
		text = p.re.ReplaceAllString(text, p.by)
	}
	return serialNumber.ReplaceAllStringFunc(text, inverter.MaskSerial)
}

// shortestSecret is the length from which on a secret is taken out wherever it stands: a shorter one is in half of all words.
const shortestSecret = 4

// newMasker knows the secrets of the services, of their credentials, and of the files that they name.
func (e *examination) newMasker() masker {
	secrets, serials := map[string]bool{}, map[string]bool{}
	secret := func(text string) {
		if text = strings.TrimSpace(text); text == "" || text == "store" {
			return
		}
		for _, form := range forms(text) {
			if len(form) >= shortestSecret {
				secrets[form] = true
			}
		}
	}
	list := func(text string) { // of tokens, each perhaps with its device behind it
		for entry := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
			secret(entry)
			token, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(entry), "sha256:"), ":")
			secret(token)
		}
	}
	files, _ := filepath.Glob(e.path(credentialsDir + "/*"))
	for _, s := range e.services {
		kept, _ := filepath.Glob(e.path("/run/credentials/" + s.unit + ".service/*"))
		files = append(files, kept...)
		hiding := secretNames(s.role)
		for name, value := range s.unread() {
			if slices.Contains(hiding, name) || looksSecret(name) {
				list(strings.Trim(value, `"'`))
			}
		}
		for name, value := range s.env {
			switch {
			case strings.HasSuffix(name, "_FILE") && strings.Contains(name, "TOKEN"):
				files = append(files, value)
			case slices.Contains(hiding, name), looksSecret(name):
				list(value)
			case name == "SUNGROW_SERIAL":
				for serial := range strings.SplitSeq(value, ",") {
					serials[strings.TrimSpace(serial)] = true
				}
			}
			for _, found := range passwordWord.FindAllStringSubmatch(value, -1) {
				secret(strings.Trim(found[1], "'"))
			}
			if u, err := url.Parse(value); err == nil && u.User != nil {
				password, _ := u.User.Password()
				secret(password)
				secret(u.User.String())
				secret(base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password)))
			}
		}
		for _, one := range s.edges {
			secret(one.token)
			serials[one.health.Serial] = true
		}
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // one that cannot be read cannot be shown either
		list(string(text))
	}
	var pairs []string
	all := make([]string, 0, len(secrets))
	for text := range secrets {
		all = append(all, text)
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) }) // of two that begin alike the longer one
	for _, text := range all {
		pairs = append(pairs, text, hidden)
	}
	for serial := range serials {
		if masked := inverter.MaskSerial(serial); masked != serial && !strings.Contains(serial, "…") {
			pairs = append(pairs, serial, masked)
		}
	}
	return masker{strings.NewReplacer(pairs...)}
}

// passwordWord is the password in a connection string of words: host=db user=x password='y z'.
var passwordWord = regexp.MustCompile(`(?i)\bpass(?:word|wd)\s*=\s*('[^']*'|\S+)`)

// unread are the settings of files of which one cannot be read as one, as far as its lines look like some.
func (s *service) unread() map[string]string {
	if s.err == nil || s.file == "" {
		return nil
	}
	all := map[string]string{}
	for _, file := range s.files {
		text, _ := os.ReadFile(file) // one that cannot be read cannot be shown either
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, "="); ok {
				all[strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "export "))] = strings.TrimSpace(value)
			}
		}
	}
	return all
}

// forms are how a text may stand in a log: as it is, in a URL, and in JSON.
func forms(text string) []string {
	all := []string{text, url.QueryEscape(text), url.PathEscape(text)}
	if plain, err := url.PathUnescape(text); err == nil {
		all = append(all, plain, url.QueryEscape(plain))
	}
	if quoted, err := json.Marshal(text); err == nil {
		all = append(all, string(quoted[1:len(quoted)-1]))
	}
	return all
}

// looksSecret reports whether a variable is named like one with a secret.
func looksSecret(name string) bool {
	if strings.HasSuffix(name, "_FILE") {
		return false
	}
	return slices.ContainsFunc([]string{"TOKEN", "SECRET", "PASSWORD", "PASSWD", "PROXY"}, func(part string) bool {
		return strings.Contains(strings.ToUpper(name), part)
	})
}

// secretNames are the settings of a role that are secret.
func secretNames(role string) (names []string) {
	for _, s := range settingsOf(role) {
		if s.IsSecret() {
			names = append(names, s.Env)
		}
	}
	return names
}

// settingsOf are the settings of a role.
func settingsOf(role string) []*settings.Setting {
	line := settings.NewLine("sunspool", "", new(commandLine))
	for _, cmd := range line.Commands(line.Root) {
		if cmd.Name() == role {
			return line.Flags(cmd)
		}
	}
	return nil
}
