package settings

import (
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Misspelling is an environment variable that no command reads, and the one that was probably meant.
type Misspelling struct {
	Name  string
	Meant string // "" if none comes near
}

func (m Misspelling) String() string {
	if m.Meant == "" {
		return m.Name + " is not a setting of sunspool"
	}
	return m.Name + " is not a setting of sunspool: " + m.Meant + "?"
}

// Misspelt returns the variables of the environment that look like settings of ours and are not: those that begin as
// ours do, and those that differ from one in a letter or two. Other programs' variables are none of our business.
func (l *Line) Misspelt() (all []Misspelling) {
	known := l.variables()
	for _, line := range slices.Sorted(slices.Values(os.Environ())) {
		name, value, _ := strings.Cut(line, "=")
		if value == "" || slices.Contains(known, name) || ofOthers(name) {
			continue
		}
		if meant := nearest(name, known); meant != "" || beginsAsOurs(name) {
			all = append(all, Misspelling{name, meant})
		}
	}
	return all
}

// WarnMisspelt logs them. They are no reason not to start.
func (l *Line) WarnMisspelt(log *slog.Logger) {
	for _, m := range l.Misspelt() {
		log.Warn("a variable of the environment is not a setting", "variable", m.Name, "did_you_mean", m.Meant)
	}
}

// Instead names the variable of the environment that was probably written in place of the setting called name, of the
// settings in config, or returns "".
func Instead(name string, config any) string {
	known := names(reflect.TypeOf(config))
	for _, line := range slices.Sorted(slices.Values(os.Environ())) {
		written, value, _ := strings.Cut(line, "=")
		if value != "" && !slices.Contains(known, written) && !ofOthers(written) && nearest(written, known) == name {
			return written
		}
	}
	return ""
}

// variables are those that any command reads.
func (l *Line) variables() (names []string) {
	for _, cmd := range append([]*cobra.Command{l.Root}, l.Commands(l.Root)...) {
		for _, s := range slices.Concat(l.Arguments(cmd), l.Flags(cmd)) {
			if s.Env != "" {
				names = append(names, s.Env)
			}
		}
	}
	return names
}

// names returns the variables in the env tags of a struct.
func names(t reflect.Type) (all []string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for field := range t.Fields() {
		if name := field.Tag.Get("env"); name != "" {
			all = append(all, name)
		}
	}
	return all
}

var (
	ourBeginnings = []string{"SUNGROW_", "VPS_", "SPOOL_", "SUNSPOOL_"}
	// notSettings are variables that are no settings and no mistake: one of ours, and those that name proxies beside
	// HTTPS_PROXY and NO_PROXY.
	notSettings = []string{"SUNSPOOL_BOOT_ID", "https_proxy", "no_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "FTP_PROXY", "ftp_proxy"}
	// linked are the variables that Docker and Kubernetes make of the name of another container or service, which may
	// well be called vps.
	linked = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?|NAME|ENV_.*)$`)
)

// beginsAsOurs reports whether a variable is one that only a person who sets up this program writes.
func beginsAsOurs(name string) bool {
	return slices.ContainsFunc(ourBeginnings, func(b string) bool { return strings.HasPrefix(strings.ToUpper(name), b) })
}

func ofOthers(name string) bool {
	return slices.Contains(notSettings, name) || strings.HasPrefix(name, "VPS_") && linked.MatchString(name)
}

// nearest returns the known name that name is probably meant to be, "" if none comes near: it differs in few letters,
// or, where it begins as ours do, it has all words of name and some more.
func nearest(name string, known []string) (best string) {
	written := strings.TrimSpace(strings.TrimPrefix(name, "export ")) // as a shell's file has it, and Docker takes it
	written = strings.ToUpper(strings.ReplaceAll(written, "-", "_"))
	least := 1 + letters(written)
	for _, k := range known {
		if d := distance(written, k); d < least && sameFamily(written, k) {
			best, least = k, d
		}
	}
	if best != "" || !beginsAsOurs(name) {
		return best
	}
	words := strings.Split(written, "_")
	for _, k := range known {
		has := strings.Split(k, "_")
		if !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(has, w) }) && (best == "" || len(k) < len(best)) {
			best = k
		}
	}
	return best
}

// sameFamily reports whether two names have the same first word but for a letter, as SSL_CERT_FILE and TLS_CERT_FILE
// have not, or the same letters.
func sameFamily(written, name string) bool {
	if strings.ReplaceAll(written, "_", "") == strings.ReplaceAll(name, "_", "") {
		return true
	}
	a, _, _ := strings.Cut(written, "_")
	b, _, _ := strings.Cut(name, "_")
	return distance(a, b) <= 1
}

// letters is how many of a name may be wrong.
func letters(name string) int {
	switch n := len(name); {
	case n < 6:
		return 0
	case n < 10:
		return 1
	default:
		return 2
	}
}

// Nearest returns the name from which a word differs in the fewest letters, at most so many and never in half of them; "" if none
// comes so near.
func Nearest(word string, names []string, most int) (best string) {
	least := min(most, (len(word)-1)/2) + 1
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or exchange with the next to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
