package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

const (
	hintAgent      = "start its agent there: systemctl start conforma-status-follow; one that is gone: conforma-status fleet forget HOST --confirm-off"
	hintHost       = "see journalctl -u conforma-status-follow there; one that is gone: conforma-status fleet forget HOST --confirm-off"
	hintOneVersion = "install one version of conforma-status on all hosts"
	hintRights     = "give each host a role of its own that may write its own receipt only: deploy/terraform/fleet-policy.json"
	hintConditions = "allow s3:PutObject only with If-Match or If-None-Match: deploy/terraform/fleet-policy.json"
	hintNote       = "allow every host to write order_note.json, with If-Match or If-None-Match: deploy/terraform/fleet-policy.json"
	hintPrivate    = "take the right to read it from everybody but the hosts: see aws_s3_bucket_public_access_block in deploy/terraform/fleet.tf"
	hintOneKey     = "have the same key_file on every host, and order anew: conforma-status set MODE"
)

// fleet sees whether the hosts that follow the same switch can, and do.
func (e *examination) fleet(ctx context.Context) {
	f := e.Host.Config.Fleet
	keys, err := gate.ReadSecretFile(f.KeyFile)
	if err != nil {
		e.failed(checkFleet, err, cmp.Or(gate.Hint(err), hintOneKey))
		return
	}
	private, err := store.Open(f.Store, e.Host.Config.S3)
	if err != nil {
		e.fault(checkFleet, err.Error(), "correct store under [fleet]")
		return
	}
	kind, dir, _ := store.ParseURL(f.Store) // the configuration was checked
	if info, err := os.Stat(dir); kind == store.Dir && err == nil && info.Mode()&0o007 != 0 {
		e.warn(checkFleet, dir+" is open to every user of this machine: receipts are private", "chmod o= "+dir)
	}
	before := len(e.findings)
	for _, s := range e.Sites {
		if err := e.hosts(ctx, private, keys[0], s); err != nil {
			e.fault(checkFleet, fmt.Sprintf("%s: %v", s.Name, err), cmp.Or(store.Hint(err), "see that the fleet's store is there, and that this host may list, get and put in it"))
			return
		}
	}
	if len(e.findings) == before {
		e.ok(checkFleet, "every host is where it was ordered to")
	}
	if bucket, is := private.(store.Guarded); is && len(e.Sites) > 0 {
		e.fleetRights(ctx, bucket, e.Sites[0]) // the others' are no different
	}
}

// fleetRights sees whether anybody may read what is private, and whether this host may write without a condition.
func (e *examination) fleetRights(ctx context.Context, private store.Guarded, s config.Site) {
	host, _ := e.Host.Config.Fleet.HostName()
	key := status.ReceiptKey(s.Path, host)
	receipt, etag, err := private.Get(ctx, key)
	if err != nil {
		return // that was said
	}
	_, _, unread := private.ToAnyone().Get(ctx, key)
	_, unlisted := private.ToAnyone().List(ctx, status.ReceiptPrefix(s.Path))
	if unread == nil || unlisted == nil {
		e.fault(checkFleet, "anybody may read the fleet's private store: it says which hosts there are, and who orders", hintPrivate)
	}
	if errors.Is(noteRights(ctx, private, fleet.NoteKey(s.Path)), store.ErrDenied) {
		e.warn(checkFleet, "this host may not read or write the note of the orders: an opening that is put back could open a host that has missed the closing after it", hintNote)
	}
	if may, _ := private.MayOverwrite(ctx, key, receipt, fleet.ReceiptMeta, etag); may {
		e.warn(checkFleet, "this host may write its receipt without a condition, over what it hasn't read", hintConditions)
	}
	public, is := e.Host.Store.(store.Guarded)
	if !is {
		return
	}
	key = maintenance.StatusKey(s)
	if there, etag, err := public.Get(ctx, key); err == nil {
		if may, _ := public.MayOverwrite(ctx, key, there, maintenance.StatusMeta, etag); may {
			e.warn(checkFleet, "this host may write the switch without a condition, over what it hasn't read", hintConditions)
		}
	}
}

// noteRights returns an error that wraps store.ErrDenied where this host may not read or write the note of the orders.
// It tries to write what is there where a condition forbids it: a store that writes all the same loses nothing of it.
func noteRights(ctx context.Context, private store.Store, key string) error {
	there, etag, err := private.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err = private.Put(ctx, key, there, fleet.ReceiptMeta, store.IfMatch(wrongETag(etag)))
	return err
}

// hosts looks at the hosts of one site. The error is that of a store.
func (e *examination) hosts(ctx context.Context, private store.Store, key []byte, s config.Site) error {
	all, err := (&fleet.Receipts{Store: private, Path: s.Path}).Members(ctx)
	if err != nil {
		return err
	}
	for host, err := range all.Unread {
		hint := hintHost
		if errors.Is(err, status.ErrReceiptVersion) {
			hint = hintOneVersion
		}
		e.fault(checkFleet, fmt.Sprintf("%s: %s can't be understood: %v", s.Name, host, err), hint)
	}
	if err := e.ownReceipt(ctx, private, s, all); err != nil {
		return err
	}
	data, _, err := e.Host.Store.Get(ctx, maintenance.StatusKey(s))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	d, err := status.Parse(data)
	if err != nil || d.Order == 0 {
		return nil // the check of the status says what is wrong with it
	}
	if !d.IsSigned(key) {
		e.fault(checkFleet, fmt.Sprintf("%s: order %d is not signed with this host's key: it closes at most", s.Name, d.Order), hintOneKey)
		return nil
	}
	missing := slices.DeleteFunc(all.Missing(d.Order, d.Wanted), func(host string) bool { return all.Unread[host] != nil })
	if len(missing) > 0 {
		e.fault(checkFleet, fmt.Sprintf("%s: not %s as order %d says: %s", s.Name, d.Wanted, d.Order, strings.Join(missing, ", ")), hintHost)
	}
	return nil
}

// ownReceipt sees whether this host's receipt is its own, and whether the store honours the conditions that keep two
// machines from writing the same.
func (e *examination) ownReceipt(ctx context.Context, private store.Store, s config.Site, all fleet.Members) error {
	host, _ := e.Host.Config.Fleet.HostName()
	i := slices.IndexFunc(all.Receipts, func(r status.Receipt) bool { return r.Host == host })
	switch {
	case all.Unread[host] != nil:
		return nil
	case i < 0:
		e.fault(checkFleet, fmt.Sprintf("%s: this host, %s, is no member: its agent has never got to the fleet's store", s.Name, host), hintAgent)
		return nil
	case all.Receipts[i].Instance != e.Host.Dir().Instance():
		e.fault(checkFleet, fmt.Sprintf("%s: another machine is %s", s.Name, host),
			"give this one a name of its own, under [fleet]; where it takes the other's place: conforma-status fleet forget "+host+" --confirm-off")
		return nil
	}
	key := status.ReceiptKey(s.Path, host)
	data, etag, err := private.Get(ctx, key)
	if err != nil {
		return err
	}
	file := site.File{Key: key, ContentType: fleet.ReceiptMeta.ContentType, CacheControl: fleet.ReceiptMeta.CacheControl}
	what, err := overwrite(ctx, private, file, data, etag)
	if err == nil && what != "" {
		e.fault(checkFleet, s.Name+": the fleet's store overwrote a file "+what, "use a store that honours If-Match and If-None-Match (S3 does)")
		return nil
	}
	if err == nil {
		e.othersReceipts(ctx, private, s, all, host)
	}
	return err
}

// othersReceipts sees whether this host may write another's receipt. A bucket refuses who may not write before it
// looks at the condition, which can't hold: nothing is written.
func (e *examination) othersReceipts(ctx context.Context, private store.Store, s config.Site, all fleet.Members, host string) {
	if kind, _, _ := store.ParseURL(e.Host.Config.Fleet.Store); kind == store.Dir {
		return // who may write there has been looked at
	}
	for _, r := range all.Receipts {
		if r.Host == host {
			continue
		}
		key := status.ReceiptKey(s.Path, r.Host)
		_, etag, err := private.Get(ctx, key)
		if err != nil {
			return
		}
		_, err = private.Put(ctx, key, r.Marshal(), fleet.ReceiptMeta, store.IfMatch(wrongETag(etag)))
		if errors.Is(err, store.ErrPrecondition) {
			e.warn(checkFleet, fmt.Sprintf("%s: this host may write the receipt of %s, and so hide that it isn't safe", s.Name, r.Host), hintRights)
		}
		return // the others' are no different
	}
}
