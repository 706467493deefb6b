package packaging

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sunspool/systemd"
)

// settingsTexts are texts of settings files as people write them.
var settingsTexts = []string{
	"A=1\n# B=2\n;C=3\n\n  D = 4  ",
	"A=192.0.2.7 # roof\nB=p#q;r",
	"A=1\r\nB=\"2\"\r\n",
	"A='a b'\nB=\"a 'b'\"",
	`A="a \" \\ \$ \n"`,
	`A='a\b'`,
	`A=a\ \"b`,
	`A=it's "so"`,
	`A="a" b`,
	"A=a\\\nb\nB=1",
	"A='a\nb'\nB=1",
	"A=\"a\\\nb\"",
	"A=\nA=2\nB=",
	"A=caf\xc3\xa9",
	"A=a=b\nB= c d ",
	"\tA=1\nB=\t2\t3\t\n",
	"A=\"\"\nB=''",
	"A=$HOME ${HOME} %h",
	"A='it'\\''s'",
}

// refusedTexts are those that no program of ours starts with: systemd leaves A out.
var refusedTexts = []string{"export A=1\nB=2\n", "A\nB=2\n", "MY-A=1\nB=2\n"}

// settingsFiles compares what our program reads in a settings file with what a unit gets of it.
func (a appliance) settingsFiles() {
	const dir = "/var/lib/settings"
	a.write("/etc/systemd/system/settings@.service", "[Service]\nType=oneshot\nEnvironmentFile="+dir+"/%i.env\nExecStart=/usr/bin/env -0\nStandardOutput=file:"+dir+"/%i.out\n", 0o644)
	texts := slices.Concat(settingsTexts, refusedTexts)
	start := []string{"systemctl", "start"}
	for i, text := range texts {
		a.write(fmt.Sprintf("%s/%d.env", dir, i), text, 0o644)
		start = append(start, fmt.Sprintf("settings@%d", i))
	}
	a.run("systemctl", "daemon-reload")
	a.run(start...)
	for i, text := range texts {
		got, want := map[string]string{}, map[string]string{}
		for assigned := range strings.SplitSeq(string(read(a.t, a.path(fmt.Sprintf("%s/%d.out", dir, i)))), "\x00") {
			if name, value, _ := strings.Cut(assigned, "="); len(name) == 1 {
				got[name] = value
			}
		}
		all, err := systemd.ParseSettings(text)
		switch refused := slices.Contains(refusedTexts, text); {
		case refused && (err == nil || got["A"] != ""):
			a.t.Errorf("%q: systemd has %q, and our error is %v", text, got, err)
		case refused:
			continue
		case err != nil:
			a.t.Errorf("%q is refused: %v; systemd has %q", text, err, got)
		}
		for _, assigned := range all {
			want[assigned.Name] = assigned.Value
		}
		if !maps.Equal(got, want) {
			a.t.Errorf("%q is %q for systemd, and %q for us", text, got, want)
		}
	}
	a.run("sh", "-c", "rm -r "+dir+" /etc/systemd/system/settings@.service && systemctl daemon-reload")
}
