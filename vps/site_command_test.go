//go:build unix

package vps

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sunspool/health"
)

func TestSiteCommand(t *testing.T) {
	dir := t.TempDir()
	cfg, at := Config{DataDir: dir, DeviceTokens: "t1-0123456789abcdef:inv-1"}, MachineConfig{DataDir: dir}
	r := start(t, cfg)
	run := func(want string, f func(out *bytes.Buffer) error) {
		t.Helper()
		var out bytes.Buffer
		if err := f(&out); err != nil || out.String() != want {
			t.Errorf("%v: %q, want %q", err, out.String(), want)
		}
	}
	list := func(out *bytes.Buffer) error { return ListSites(t.Context(), at, SiteListConfig{}, out) }
	set := func(name string, devices ...string) func(*bytes.Buffer) error {
		return func(out *bytes.Buffer) error {
			return SetSite(t.Context(), at, SiteSetConfig{Name: name, Devices: devices}, out)
		}
	}
	remove := func(name string) func(*bytes.Buffer) error {
		return func(out *bytes.Buffer) error {
			return RemoveSite(t.Context(), at, SiteRemoveConfig{Name: name}, out)
		}
	}
	run("there is no site\n", list)
	run("home is barn and roof\n", set("home", "roof", "barn"))
	run("mill is mill\n", set("mill", "mill"))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	run("SITE  DEVICES\nhome  barn,roof\nmill  mill\n", list)
	run("mill is removed\n", remove("mill"))
	run(`{"name":"home","devices":["barn","roof"]}`+"\n", func(out *bytes.Buffer) error {
		return ListSites(t.Context(), at, SiteListConfig{JSON: true}, out)
	})
	for why, f := range map[string]func(*bytes.Buffer) error{
		"There is no site of this name.": remove("mill"), "devices have one that is not": set("home", "ro of"), "name is not 1 to 64": set("ho/me", "roof"),
	} {
		err := f(new(bytes.Buffer))
		if fault, ok := errors.AsType[*health.Fault](err); !ok || fault.Code != "vps_refused" || !strings.Contains(fault.Why, why) || fault.Next == "" {
			t.Errorf("%s: %+v", why, err)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
