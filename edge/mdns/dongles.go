package mdns

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	webService = "_http._tcp.local."
	dongleName = "WiNet-WebServer"
)

// Dongle is one that announced itself. The texts are what it announced, and may be anything.
type Dongle struct {
	Name   string     // such as WiNet-WebServer
	Host   string     // such as WiNet-WebServer.local, "" if it named none
	Addr   netip.Addr // of IPv4 if it has one
	Model  string     // "" if it did not announce it
	Serial string
}

// Find returns the dongles that answer within 2.5 s, by name. The error is that of a host whose interfaces cannot be seen.
func (q *Querier) Find(ctx context.Context) ([]Dongle, error) {
	found, err := q.collect(ctx, findTime, open, func(*records) bool { return false })
	if err != nil {
		return nil, err
	}
	return found.dongles(), nil
}

// open returns what is to be asked next to find dongles.
func open(r *records) []dnsmessage.Question {
	host, instance := canonical(dongleName+".local"), canonical(dongleName+"."+webService)
	all := []dnsmessage.Question{
		question(webService, dnsmessage.TypePTR), question(host, dnsmessage.TypeA), question(host, dnsmessage.TypeAAAA),
		question(instance, dnsmessage.TypeSRV), question(instance, dnsmessage.TypeTXT),
	}
	for _, i := range r.instances {
		name := canonical(i)
		if name == instance || !r.isDongle(name) {
			continue
		}
		at, ok := r.targets[name]
		switch {
		case !ok:
			all = append(all, question(name, dnsmessage.TypeSRV), question(name, dnsmessage.TypeTXT))
		case len(r.addrs[at.host]) == 0:
			all = append(all, question(at.host, dnsmessage.TypeA), question(at.host, dnsmessage.TypeAAAA))
		}
	}
	return all
}

// isDongle reports whether an instance looks like a dongle of Sungrow's: a home has printers as well.
func (r *records) isDongle(name string) bool {
	texts := append([]string{name, r.targets[name].host}, r.texts[name]...)
	return slices.ContainsFunc(texts, func(text string) bool {
		text = strings.ToLower(text)
		return strings.Contains(text, "winet") || strings.Contains(text, "sungrow")
	})
}

// dongles returns those of which an address is known.
func (r *records) dongles() (all []Dongle) {
	add := func(name, host string, texts []string) {
		addrs := fourFirst(r.addrs[host])
		if len(addrs) == 0 || slices.ContainsFunc(all, func(d Dongle) bool { return d.Addr == addrs[0] }) {
			return
		}
		all = append(all, Dongle{
			Name: printable(name), Host: strings.TrimSuffix(printable(host), "."), Addr: addrs[0],
			Model:  value(texts, "model", "devicemodel", "product", "type", "devicetype"),
			Serial: value(texts, "sn", "serial", "serialnumber", "serialno", "devicesn"),
		})
	}
	instances := slices.Clone(r.instances)
	for name := range r.targets { // asked by name
		if strings.HasSuffix(name, "."+webService) && !slices.ContainsFunc(instances, func(i string) bool { return canonical(i) == name }) {
			instances = append(instances, name)
		}
	}
	slices.Sort(instances)
	for _, i := range instances {
		name := canonical(i)
		if !r.isDongle(name) {
			continue
		}
		shown := i
		if cut := len(i) - len(webService) - 1; cut > 0 {
			shown = i[:cut]
		}
		add(shown, r.targets[name].host, r.texts[name])
	}
	if host := canonical(dongleName + ".local"); len(r.addrs[host]) > 0 { // that announces no service
		add(strings.TrimSuffix(host, ".local."), host, nil)
	}
	return all
}

// value returns the value of the first of these keys that a text record has. Firmware differs in how it writes them.
func value(texts []string, keys ...string) string {
	for _, key := range keys {
		for _, text := range texts {
			name, value, ok := strings.Cut(text, "=")
			name = strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
			if ok && name == key {
				return printable(value)
			}
		}
	}
	return ""
}

// printable is a text of the network as a terminal may show it.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return cmp.Or(strings.TrimSpace(text[:min(len(text), 64)]), "?")
}
