package systemd

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite sunspool-edge@.service")

// The unit for further inverters is the edge's with the name of the instance in every place of its own.
func TestFurtherInvertersHaveTheSameUnit(t *testing.T) {
	plain, err := os.ReadFile("sunspool-edge.service")
	if err != nil {
		t.Fatal(err)
	}
	named := string(plain)
	for _, r := range [][2]string{
		{"systemctl edit sunspool-edge\n", "systemctl edit sunspool-edge@NAME\n"},
		{"# Settings are in /etc/sunspool/edge.env, see sunspool.env(5). Further inverters: sunspool-edge@NAME.service.\n",
			"# The same as sunspool-edge.service for a further inverter. Settings are in /etc/sunspool/edge-NAME.env.\n"},
		{"sunspool edge, from", "sunspool edge %i, from"},
		{"/etc/sunspool/edge.env", "/etc/sunspool/edge-%i.env"},
		{"Directory=sunspool/edge\n", "Directory=sunspool/edge-%i\n"},
		{"/sunspool/edge/", "/sunspool/edge-%i/"},
		{"credentials/vps-device-token\n", "credentials/vps-device-token-%i\n"},
	} {
		if !strings.Contains(named, r[0]) {
			t.Errorf("the unit of the edge has no %q", r[0])
		}
		named = strings.ReplaceAll(named, r[0], r[1])
	}
	const path = "sunspool-edge@.service"
	if *update {
		if err := os.WriteFile(path, []byte(named), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != named {
		t.Errorf("%s is not what the unit of the edge says (%v): go test ./systemd -run Inverters -update", path, err)
	}
}

// A program that crashes ends with 2, and one that the watchdog ends, too: it must come back. One that is set up wrongly
// ends with 3, and would only do so again.
func TestCrashComesBackAndWrongSettingsDoNot(t *testing.T) {
	for _, role := range []string{"edge", "edge@", "vps"} {
		text, err := unit(role, packaged)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\nRestart=always\n", "\nRestartPreventExitStatus=3\n", "\nStartLimitIntervalSec=0\n", "\nType=notify\n", "\nWatchdogSec=120\n"} {
			if strings.Count(text, want) != 1 {
				t.Errorf("the unit of %s does not say %q once", role, strings.TrimSpace(want))
			}
		}
	}
}

func TestUnitCallsTheProgramWhereItIs(t *testing.T) {
	text, err := unit("edge", "/opt/sunspool/bin/sunspool")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, packaged) || !strings.Contains(text, "\nExecStart=/opt/sunspool/bin/sunspool edge\n") ||
		!strings.Contains(text, "\nExecPaths=/opt/sunspool/bin/sunspool\n") {
		t.Errorf("the unit calls another program:\n%s", text)
	}
	if strings.Contains(text, "{{") {
		t.Error("the unit is taken for a template by who installs it")
	}
}

func TestProgramMustBeWhereItsSandboxSeesIt(t *testing.T) {
	for path, fit := range map[string]bool{
		"/usr/local/bin/sunspool": true, "/opt/sun-spool_1.2/sunspool": true,
		"/home/pi/sunspool": false, "/root/sunspool": false, "/tmp/sunspool": false, "/opt/my programs/sunspool": false, "/opt/100%/sunspool": false,
	} {
		if why := unfit(path); (why == "") != fit {
			t.Errorf("%s: %q", path, why)
		}
	}
}

// The edge asks the network for names that end in .local: it may list interfaces, and reach what is not a host, 224.0.0.251 and
// ff02::fb.
func TestEdgeMayAskItsNetwork(t *testing.T) {
	for _, role := range []string{"edge", "edge@"} {
		text, err := unit(role, packaged)
		if err != nil {
			t.Fatal(err)
		}
		_, families, _ := strings.Cut(text, "\nRestrictAddressFamilies=")
		families, _, _ = strings.Cut(families, "\n")
		for _, want := range []string{"AF_INET", "AF_INET6", "AF_NETLINK"} {
			if !slices.Contains(strings.Fields(families), want) {
				t.Errorf("the unit of %s allows %s, without %s", role, families, want)
			}
		}
		for _, forbidden := range []string{"\nIPAddressDeny=", "\nPrivateNetwork=", "\nRestrictNetworkInterfaces="} {
			if strings.Contains(text, forbidden) {
				t.Errorf("the unit of %s has %s", role, strings.TrimSpace(forbidden))
			}
		}
	}
}
