package edge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"sunspool/edge/inverter"
	"sunspool/health"
	"sunspool/settings"
	"sunspool/wire"
)

// credential is the name under which a service manager hands us the token (LoadCredential=).
const credential = "vps-device-token"

// Token is where the edge's token comes from: the file is read again when it changes, so that a new token needs no
// restart. It is never logged.
type Token struct {
	value string
	file  string
	place inverter.Place // of the inverter whose token it is
	read  time.Time      // modification time of what value holds

	trouble error // why a file that changed is not used
	size    int64
}

// NewToken takes the token from value, else from file, else from the systemd credential.
func NewToken(value, file string) (*Token, error) { return newToken(value, file, inverter.Place{}) }

// newToken is NewToken for one of several inverters: where there are several tokens, separated by commas in value and by
// lines in a file, each inverter has its own.
func newToken(value, file string, place inverter.Place) (*Token, error) {
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); value == "" && file == "" && dir != "" && !blank(filepath.Join(dir, credential)) {
		file = filepath.Join(dir, credential)
	}
	t := &Token{file: file, place: place}
	if value = strings.TrimSpace(value); value != "" {
		var err error
		t.file = ""
		if t.value, err = t.own(value, ","); err == nil {
			err = validToken(t.value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.setting(), err)
		}
		return t, nil
	}
	if file == "" {
		return nil, required("VPS_DEVICE_TOKEN", "the token of this inverter, there, in the file VPS_DEVICE_TOKEN_FILE, or as the credential "+credential)
	}
	_, err := t.Get()
	return t, err
}

// Get returns the token. A file that changed is read again; if it can no longer be read the token that we have goes on
// being used.
func (t *Token) Get() (string, error) {
	if t.file == "" {
		return t.value, nil
	}
	info, err := os.Stat(t.file)
	if err == nil && info.ModTime().Equal(t.read) && info.Size() == t.size && t.value != "" {
		return t.value, nil
	}
	if err == nil && !t.isCredential() && settings.CheckSecretFile(t.file, info) != nil {
		err = &health.Fault{
			Code: "token_readable", Exit: health.ExitConfig,
			What: "the token file " + t.file + " can be read by other users: chmod 600 " + t.file,
		}
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(t.file)
	}
	fresh := strings.TrimSpace(string(b))
	if err == nil {
		fresh, err = t.own(fresh, "\n")
	}
	if err == nil {
		err = validToken(fresh)
	}
	if t.trouble = err; err != nil {
		if t.value != "" {
			return t.value, nil
		}
		return "", fmt.Errorf("%s: %w", t.setting(), err)
	}
	t.value, t.read, t.size = fresh, info.ModTime(), info.Size()
	return t.value, nil
}

// setting names where the token comes from.
func (t *Token) setting() string {
	switch {
	case t.file == "":
		return "VPS_DEVICE_TOKEN"
	case t.isCredential():
		return "the credential " + filepath.Base(t.file)
	}
	return "VPS_DEVICE_TOKEN_FILE"
}

// own returns the token of this inverter out of text. One that stands alone is that of all.
func (t *Token) own(text, between string) (string, error) {
	if !t.place.Several() {
		return text, nil
	}
	var all []string
	for token := range strings.SplitSeq(text, between) {
		if token = strings.TrimSpace(token); token != "" {
			all = append(all, token)
		}
	}
	switch len(all) {
	case 0, 1:
		return strings.Join(all, ""), nil
	case t.place.Of:
		return all[t.place.Index], nil
	}
	return "", fmt.Errorf("there are %d tokens for the %d inverters of SUNGROW_SLAVE_ID: write one for each, in their order", len(all), t.place.Of)
}

// isCredential reports whether the token is in a file of the service manager's, which has a mode of its own and is
// readable by nobody else.
func (t *Token) isCredential() bool {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(t.file) == filepath.Clean(dir)
}

// blank reports whether a file has nothing in it: our units give a credential that nobody wrote like that.
func blank(file string) bool {
	b, err := os.ReadFile(file)
	return err == nil && strings.TrimSpace(string(b)) == ""
}

// assignment is how a line of an environment file begins that sets a token.
var assignment = regexp.MustCompile(`(?i)^[a-z_]*token[a-z_]*=[^=]`)

// validToken refuses what cannot be in an Authorization header, what is no token but has one in it, and what can be
// guessed. It does not repeat it.
func validToken(s string) error {
	switch {
	case s == "":
		return errors.New("the token is empty")
	case strings.ContainsAny(s, "\r\n"):
		return errors.New("there is more than one line: write the token alone")
	case strings.HasPrefix(strings.ToLower(s), "bearer "):
		return errors.New("the token begins with Bearer: write the token alone")
	case assignment.MatchString(s):
		return errors.New("there is a whole setting, with its name and =: write the token alone")
	case strings.HasPrefix(s, "sha256:"):
		return errors.New("this is the hash of a token, which is for the server: write the token itself")
	case strings.Trim(s, "\"'`") != s:
		return errors.New("the token has quotes around it, which an environment file of Docker does not take away: write it without")
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		return fmt.Errorf("the token has a character at position %d that is not printable ASCII", i+1)
	}
	if len(s) < wire.ShortestToken {
		return fmt.Errorf("the token has %d characters, at least %d are needed: openssl rand -hex 32 makes a good one, for the server and here", len(s), wire.ShortestToken)
	}
	return nil
}
