// Node 24.0.0 to 24.11.1 and 25.1.0: X509Certificate.toLegacyObject() keeps the UTF-8 copy of every name entry that ASN1_STRING_to_UTF8 makes
// (nodejs/node#58380, fixed by nodejs/node#60609). This certificate's subject and issuer have six entries each.
'use strict';
const { X509Certificate } = require('crypto');
const fs = require('fs');
const path = require('path');
const { loop } = require('./loop.cjs');

const certificate = new X509Certificate(fs.readFileSync(path.join(__dirname, 'certificate.pem')));
loop(20000, () => { certificate.toLegacyObject(); });
