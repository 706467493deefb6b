package mdns

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	cacheFlush = 1 << 15 // of a class: the record replaces others
	maxNames   = 500     // of each kind that are kept
)

// records are what was answered so far, by canonical names.
type records struct {
	instances []string // of services, as they were written
	targets   map[string]target
	texts     map[string][]string
	addrs     map[string][]netip.Addr
}

// target is where an instance of a service is.
type target struct {
	host string // canonical
	port uint16
}

func newRecords() *records {
	return &records{targets: map[string]target{}, texts: map[string][]string{}, addrs: map[string][]netip.Addr{}}
}

func question(name string, kind dnsmessage.Type) dnsmessage.Question {
	n, err := dnsmessage.NewName(name)
	if err != nil { // longer than a name can be: nothing answers
		n = dnsmessage.MustNewName("local.")
	}
	return dnsmessage.Question{Name: n, Type: kind, Class: dnsmessage.ClassINET}
}

// questions is the message with which they are asked, nil if there are none.
func questions(all []dnsmessage.Question) []byte {
	if len(all) == 0 {
		return nil
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	b.EnableCompression()
	if b.StartQuestions() != nil {
		return nil
	}
	for _, q := range all[:min(len(all), 16)] {
		b.Question(q)
	}
	message, err := b.Finish()
	if err != nil {
		return nil
	}
	return message
}

// add takes what a message of a link answers, as far as it can be read.
func (r *records) add(message []byte, over *link) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || !h.Response || h.RCode != dnsmessage.RCodeSuccess || p.SkipAllQuestions() != nil {
		return
	}
	for _, section := range []struct {
		header func() (dnsmessage.ResourceHeader, error)
		skip   func() error
	}{{p.AnswerHeader, p.SkipAnswer}, {p.AuthorityHeader, p.SkipAuthority}, {p.AdditionalHeader, p.SkipAdditional}} {
		for {
			h, err := section.header()
			if errors.Is(err, dnsmessage.ErrSectionDone) {
				break
			}
			if err != nil {
				return
			}
			if h.Class&^cacheFlush != dnsmessage.ClassINET || h.TTL == 0 { // 0: it is leaving
				err = section.skip()
			} else {
				err = r.record(&p, h, over, section.skip)
			}
			if err != nil {
				return
			}
		}
	}
}

// record takes the record whose header p has read.
func (r *records) record(p *dnsmessage.Parser, h dnsmessage.ResourceHeader, over *link, skip func() error) error {
	name := canonical(h.Name.String())
	switch h.Type {
	case dnsmessage.TypeA:
		a, err := p.AResource()
		if err == nil {
			r.address(name, netip.AddrFrom4(a.A), over)
		}
		return err
	case dnsmessage.TypeAAAA:
		a, err := p.AAAAResource()
		if err == nil {
			r.address(name, netip.AddrFrom16(a.AAAA), over)
		}
		return err
	case dnsmessage.TypePTR:
		ptr, err := p.PTRResource()
		if err == nil && len(r.instances) < maxNames && !slices.ContainsFunc(r.instances, func(i string) bool { return strings.EqualFold(i, ptr.PTR.String()) }) {
			r.instances = append(r.instances, ptr.PTR.String())
		}
		return err
	case dnsmessage.TypeSRV:
		srv, err := p.SRVResource()
		if err == nil && len(r.targets) < maxNames {
			r.targets[name] = target{canonical(srv.Target.String()), srv.Port}
		}
		return err
	case dnsmessage.TypeTXT:
		txt, err := p.TXTResource()
		if err == nil && len(r.texts) < maxNames {
			r.texts[name] = txt.TXT
		}
		return err
	}
	return skip()
}

// address takes an address of a host, if it is one of the link.
func (r *records) address(host string, a netip.Addr, over *link) {
	if !over.has(a) {
		return
	}
	if a = a.Unmap(); a.Is6() && a.IsLinkLocalUnicast() {
		a = a.WithZone(over.zone)
	}
	known := r.addrs[host]
	if len(known) < 16 && (known != nil || len(r.addrs) < maxNames) && !slices.Contains(known, a) {
		r.addrs[host] = append(known, a)
	}
}
