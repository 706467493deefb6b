package systemd

import (
	"fmt"
	"strings"
	"testing"
)

// A settings file has the values that the units get of it: those of systemd 257 for the same text.
func TestSettingsAreReadAsSystemdDoes(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"A=1\n# B=2\n;C=3\n\n  D = 4  ": "A=1|D=4",
		"A=192.0.2.7 # roof":            "A=192.0.2.7 # roof",
		"A=p#q;r":                       "A=p#q;r",
		"A=1\r\nB=\"2\"\r\n":            "A=1|B=2",
		"A='a b'\nB=\"a 'b'\"":          "A=a b|B=a 'b'",
		`A="a \" \\ \$ \n"`:             `A=a " \ $ \n`,
		`A='a\b'`:                       `A=a\b`,
		`A=a\ \"b`:                      `A=a "b`,
		`A=it's "so"`:                   `A=it's "so"`,
		`A="a" b`:                       `A=ab`,
		"A=a\\\nb\nB=1":                 "A=ab|B=1",
		"A='a\nb'\nB=1":                 "A=a\nb|B=1",
		"A=\"a\\\nb\"":                  "A=ab",
		"A=\nA=2":                       "A=|A=2",
		"A=caf\xc3\xa9\n# caf\xe9":      "A=café",
		"A=a=b":                         "A=a=b",
	} {
		all, err := ParseSettings(text)
		var got []string
		for _, a := range all {
			got = append(got, a.Name+"="+a.Value)
		}
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
	all, err := ParseSettings("# a\nA='1\n2'\nB=3\nA=4")
	if got := fmt.Sprint(all); err != nil || got != "[{A 1\n2 1 2} {B 3 3 3} {A 4 4 4}]" || Value(all, "A") != "4" || Value(all, "C") != "" {
		t.Errorf("%q, %v", got, err)
	}
}

// What systemd leaves out, or reads nothing of, is named by its line.
func TestLinesThatSystemdDoesNotTakeAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"A=1\nSUNGROW_HOST 192.0.2.7\n": "line 2 is not NAME=value",
		"export A=1":                    "line 1 begins with export",
		"# a\n\nMY-NAME=1":              `line 3: "MY-NAME" is no name`,
		"=1":                            "line 1",
		"A=\"b\nC=d\n":                  "line 1: the quote",
		"A=b\\":                         "line 1: the quote, or the backslash",
		"A=1\nB=caf\xe9":                "line 2 is not UTF-8",
	} {
		if all, err := ParseSettings(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q is %v, %v, want %q", text, all, err, want)
		}
	}
}

// Any text is read or refused, and what is read is in the lines that are named.
func FuzzSettingsAreReadOrRefused(f *testing.F) {
	f.Add("A=1\nB='2\n3'\n#c\nC=\\\n4")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseSettings(text)
		if err != nil && len(all) > 0 {
			t.Fatalf("%q: both", text)
		}
		lines := strings.Split(text, "\n")
		for _, a := range all {
			again, err := ParseSettings(strings.Join(lines[a.First:a.Last+1], "\n"))
			if err != nil || len(again) != 1 || again[0].Name != a.Name || again[0].Value != a.Value {
				t.Fatalf("%q: %+v is %+v alone, %v", text, a, again, err)
			}
		}
	})
}
