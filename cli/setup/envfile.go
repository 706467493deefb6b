package setup

import (
	"slices"
	"strings"

	"sunspool/systemd"
)

// envFile is the text of a settings file, which is the owner's: only the lines of settings that change are touched.
type envFile struct{ lines []string }

func parseEnv(text string) (*envFile, error) {
	if _, err := systemd.ParseSettings(text); err != nil {
		return nil, err
	}
	return &envFile{strings.Split(text, "\n")}, nil
}

// assigned returns the settings of the file in order. Its text can be read: parseEnv has seen it, and set keeps it so.
func (f *envFile) assigned() []systemd.Assignment {
	all, _ := systemd.ParseSettings(f.String())
	return all
}

// get returns the value of a setting, "" if it has none.
func (f *envFile) get(name string) string { return systemd.Value(f.assigned(), name) }

// set gives a setting a value: in its line, else below the comment that shows it, else at the end.
func (f *envFile) set(name, value string) {
	if value != "" && f.get(name) == value {
		return // however it is written
	}
	line := name + "=" + value
	if slices.ContainsFunc(f.lines, func(l string) bool { return strings.HasSuffix(l, "\r") }) {
		line += "\r" // as the others end
	}
	if at := f.unset(name); at >= 0 {
		f.lines = slices.Insert(f.lines, at, line)
		return
	}
	if i := slices.IndexFunc(f.lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "#"+name+"=") }); i >= 0 {
		f.lines = slices.Insert(f.lines, i+1, line)
		return
	}
	if last := len(f.lines) - 1; f.lines[last] == "" { // the file ends with its last line
		f.lines[last] = line
	} else {
		f.lines = append(f.lines, line)
	}
	f.lines = append(f.lines, "")
}

// unset removes a setting wherever it has a value, and returns the line at which it had one first, -1 for none.
func (f *envFile) unset(name string) (at int) {
	at = -1
	for _, a := range slices.Backward(f.assigned()) {
		if a.Name == name {
			f.lines, at = slices.Delete(f.lines, a.First, a.Last+1), a.First
		}
	}
	return at
}

func (f *envFile) String() string { return strings.Join(f.lines, "\n") }

// difference returns the lines that are only in one of two texts, as diff shows them, without secrets.
func difference(before, after string, secret func(line string) bool) (lines []string) {
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	show := func(sign, line string) {
		if secret != nil && secret(line) {
			name, _, _ := strings.Cut(line, "=")
			line = name + "=(not shown)"
		}
		lines = append(lines, sign+" "+line)
	}
	for _, line := range was {
		if line != "" && !slices.Contains(is, line) {
			show("-", line)
		}
	}
	for _, line := range is {
		if line != "" && !slices.Contains(was, line) {
			show("+", line)
		}
	}
	return lines
}
